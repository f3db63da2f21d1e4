"""Apache: the virtual host that is changed, or added."""

from __future__ import annotations

import pytest
from tests.fakes.server_files import HOSTNAME, LIVE, ServerFiles

from gatecert.setup.apache_settings import names, plan, webroots

FILE = "/etc/apache2/apache2.conf"
SITE = "/etc/apache2/sites-enabled/000-default.conf"
MODULE = "/etc/apache2/mods-enabled/ssl.load"
DEFAULT = """\
<VirtualHost *:80>
    # ServerName www.example.com
    DocumentRoot /var/www/html
</VirtualHost>
"""
NAMED = f"""\
<VirtualHost *:443>
    ServerName {HOSTNAME}
    SSLEngine on
    SSLCertificateFile /etc/ssl/old.crt
    SSLCertificateKeyFile /etc/ssl/old.key
    SSLCertificateChainFile /etc/ssl/chain.pem
</VirtualHost>
"""


def files(site: str, *more: str) -> ServerFiles:
    return ServerFiles({FILE: "", SITE: site, **dict.fromkeys(more, "")})


def test_the_named_virtual_host_gets_the_new_paths() -> None:
    (edit,) = plan(files(DEFAULT + NAMED, MODULE).wanted()).edits

    assert edit.after == DEFAULT + NAMED.replace(
        "/etc/ssl/old.crt", f"{LIVE}/fullchain.pem"
    ).replace("/etc/ssl/old.key", f"{LIVE}/privkey.pem").replace(
        "SSLCertificateChainFile /etc/ssl", "# SSLCertificateChainFile /etc/ssl"
    )
    assert plan(files(edit.after, MODULE).wanted()).is_complete


def test_a_clean_installation_gets_a_site_and_the_module() -> None:
    found = plan(files(DEFAULT).wanted())

    (edit,) = found.edits
    assert str(edit.path) == "/etc/apache2/sites-available/gate.conf"
    assert "DocumentRoot /var/www/html" in edit.after
    assert [command[0][0] for command in found.commands] == ["a2enmod", "a2ensite"]
    assert found.needs_restart
    assert not plan(files(DEFAULT, MODULE).wanted()).needs_restart


@pytest.mark.parametrize(
    ("site", "why"),
    [
        (NAMED + NAMED, "several virtual hosts"),
        (NAMED.replace("SSLEngine on", "SSLEngine on\nSSLCertificateFile /x"), "several certif"),
        (NAMED.replace("SSLCertificateKeyFile", "#"), "has no SSLCertificateFile"),
        (DEFAULT.replace("DocumentRoot", "#"), "no virtual host with TLS is named"),
        (DEFAULT.replace("    Doc", "    ProxyPass / http://x/\n    Doc"), "no plain directory"),
    ],
)
def test_what_is_not_certain_is_left_to_the_operator(site: str, why: str) -> None:
    found = plan(files(site).wanted())

    assert why in found.by_hand
    assert not found.edits
    assert not found.commands
    assert "there is no" in plan(ServerFiles().wanted()).by_hand


def test_names_and_webroots() -> None:
    server = files(DEFAULT + NAMED)

    assert names(server.wanted()) == [HOSTNAME]
    assert webroots(server.wanted()) == ["/var/www/html"]
