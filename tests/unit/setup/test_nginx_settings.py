"""nginx: what is changed, and what is left to the operator."""

from __future__ import annotations

import pytest
from tests.fakes.server_files import HOSTNAME, LIVE, ServerFiles

from gatecert.setup.nginx_settings import forwarding, names, plan, webroots

MAIN = """\
user www-data;
events { worker_connections 768; }
http {
    include /etc/nginx/mime.types;
    log_format main '$remote_addr - "$request" {x}';  # } not a brace
    include conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""
DEFAULT = """\
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    root /var/www/html;
    server_name _;
    location / { try_files $uri $uri/ =404; }
}
"""
NAMED = f"""\
server {{
    # the shop; listen 443
    listen 443 ssl;
    server_name www.widgets.test {HOSTNAME};
    ssl_certificate /etc/ssl/old.crt;  # old
    ssl_certificate_key "/etc/ssl/old.key";
    location / {{ proxy_pass http://127.0.0.1:8080; }}
}}
"""
SITE = "/etc/nginx/sites-enabled/site"


def files(site: str = DEFAULT, main: str = MAIN) -> ServerFiles:
    return ServerFiles({"/etc/nginx/nginx.conf": main, SITE: site})


def test_the_certificate_of_the_named_block_is_replaced_and_nothing_else() -> None:
    found = plan(files(NAMED).wanted())

    (edit,) = found.edits
    assert edit.after == NAMED.replace(
        "ssl_certificate /etc/ssl/old.crt;", f"ssl_certificate {LIVE}/fullchain.pem;"
    ).replace('ssl_certificate_key "/etc/ssl/old.key";', f"ssl_certificate_key {LIVE}/privkey.pem;")
    assert str(edit.path) == SITE
    assert found.install == {"verify": ["127.0.0.1:443"]}


def test_a_change_that_was_made_is_complete() -> None:
    server = files(NAMED)
    server.files[SITE] = plan(server.wanted()).edits[0].after

    assert plan(server.wanted()).is_complete


def test_another_port_is_verified() -> None:
    found = plan(files(NAMED.replace("443 ssl", "0.0.0.0:8443 ssl http2")).wanted())

    assert found.install == {"verify": ["127.0.0.1:8443"]}


def test_a_named_block_without_tls_gets_it() -> None:
    site = DEFAULT.replace("server_name _", f"server_name {HOSTNAME}")

    (edit,) = plan(files(site).wanted()).edits

    assert edit.after.startswith(
        "server {\n    listen 443 ssl;\n    listen [::]:443 ssl;\n"
        f"    ssl_certificate {LIVE}/fullchain.pem;\n"
        f"    ssl_certificate_key {LIVE}/privkey.pem;\n    listen 80 default_server;\n"
    )


def test_a_clean_installation_gets_a_file_of_its_own() -> None:
    (edit,) = plan(files().wanted()).edits

    assert str(edit.path) == "/etc/nginx/conf.d/gate.conf"
    assert edit.before is None
    assert f"server_name {HOSTNAME};" in edit.after
    assert "root /var/www/html;" in edit.after
    server = files()
    server.files[str(edit.path)] = edit.after
    assert plan(server.wanted()).is_complete


@pytest.mark.parametrize(
    ("site", "main", "why"),
    [
        (NAMED + NAMED, MAIN, "several server blocks"),
        (
            NAMED.replace("    location", "    ssl_certificate /etc/ssl/rsa.crt;\n    location"),
            MAIN,
            "several certificates",
        ),
        (
            DEFAULT.replace("server_name _", f"server_name {HOSTNAME}; return 301 https://$host"),
            MAIN,
            "only redirects",
        ),
        (DEFAULT.replace("try_files $uri $uri/ =404", "proxy_pass http://x"), MAIN, "no plain"),
        (DEFAULT.replace("root /var/www/html;", ""), MAIN, "no server block is named"),
        (DEFAULT, MAIN.replace("include conf.d/*.conf;", ""), "does not include"),
        (DEFAULT + "server { listen 192.0.2.1:443 ssl; }", MAIN, "certain addresses only"),
        (DEFAULT, MAIN + "}", "closed in the wrong place"),
        (DEFAULT + "server {", MAIN, "ends inside a directive"),
        ("server { server_name 'x; }", MAIN, "sites-enabled/site:1: a quote is not closed"),
    ],
)
def test_what_is_not_certain_is_left_to_the_operator(site: str, main: str, why: str) -> None:
    found = plan(files(site, main).wanted())

    assert why in found.by_hand
    assert not found.edits
    (lines,) = found.shown.values()
    assert f"ssl_certificate_key {LIVE}/privkey.pem;" in lines


def test_names_and_webroots() -> None:
    server = files(DEFAULT + NAMED)

    assert names(server.wanted("")) == ["www.widgets.test", HOSTNAME]
    assert webroots(server.wanted()) == ["/var/www/html"]
    assert names(ServerFiles({}).wanted()) == []


LOCATION = "location ^~ /.well-known/acme-challenge/ { proxy_pass http://127.0.0.1:888; }"


def test_http_01_is_forwarded_by_the_block_that_answers_on_port_80() -> None:
    edit = forwarding(files().wanted())

    assert edit is not None
    assert edit.after == DEFAULT.replace("server {", f"server {{\n    {LOCATION}", 1)
    again = forwarding(files(edit.after).wanted())
    assert again is not None
    assert again.after == again.before


def test_behind_a_redirect_it_is_forwarded_by_the_block_with_tls() -> None:
    redirect = f"server {{ listen 80; server_name {HOSTNAME}; return 301 https://$host$uri; }}\n"

    edit = forwarding(files(redirect + NAMED).wanted())

    assert edit is not None
    assert edit.after == redirect + NAMED.replace("server {", f"server {{\n    {LOCATION}", 1)
    assert forwarding(files(redirect).wanted()) is None
    assert forwarding(files("server {").wanted()) is None


def test_what_follows_on_the_same_line_is_moved_to_the_next() -> None:
    (edit,) = plan(files(f"server {{ listen 80; server_name {HOSTNAME}; }}\n").wanted()).edits

    assert edit.after == (
        "server {\n    listen 443 ssl;\n"
        f"    ssl_certificate {LIVE}/fullchain.pem;\n"
        f"    ssl_certificate_key {LIVE}/privkey.pem;\n"
        f"    listen 80; server_name {HOSTNAME}; }}\n"
    )
