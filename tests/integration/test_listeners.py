"""Listeners that need something before TLS, or another name: `install.verify` as a mapping.

nginx and HAProxy are the listeners; nginx's mail proxy provides STARTTLS.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from harness.nginx import Nginx
from harness.ports import free_port
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult, Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
STRICT = "strict.example.com"

MAIL = """\
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
mail {{
    server_name {hostname};
    auth_http 127.0.0.1:9/;
    ssl_certificate {fullchain};
    ssl_certificate_key {private_key};
    starttls only;
    server {{ listen 127.0.0.1:{smtp}; protocol smtp; }}
    server {{ listen 127.0.0.1:{imap}; protocol imap; }}
    server {{ listen 127.0.0.1:{pop3}; protocol pop3; }}
    server {{ listen 127.0.0.1:{proxied} proxy_protocol; protocol smtp; }}
    server {{ listen 127.0.0.1:{smtps} ssl; protocol smtp; starttls off; }}
}}
"""
HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend boston
    bind 127.0.0.1:{port} ssl crt {certificate} accept-proxy
    http-request return status 200
"""


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def enrolled(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """A certificate that no server serves yet."""
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    return gatecert


def verified(gatecert: Gatecert, *entries: Mapping[str, str | int] | str) -> CommandResult:
    """Verify it at these listeners, written as in the configuration."""
    install = {"verify": list(entries), "verify_timeout": "1s"}
    gatecert.configuration["gateways"][BOSTON]["install"] = install
    gatecert.write()
    return gatecert.run("enroll")


def test_listeners_behind_the_proxy_protocol_and_with_another_name(
    enrolled: Gatecert, servers: ExitStack, tmp_path: Path
) -> None:
    proxied, strict = (f"127.0.0.1:{free_port()}" for _ in range(2))
    files = enrolled.files(BOSTON)
    servers.enter_context(
        Nginx(
            tmp_path / "nginx",
            **files,
            more=f"listen {proxied} ssl proxy_protocol;\n return 204; }}\n"
            f"server {{ listen {strict} ssl; ssl_reject_handshake on; }}\n"
            f"server {{ listen {strict} ssl; server_name {STRICT};"
            f" ssl_certificate {files['fullchain']}; ssl_certificate_key {files['private_key']};",
        )
    )
    combined = tmp_path / "combined.pem"
    combined.write_bytes(files["fullchain"].read_bytes() + files["private_key"].read_bytes())
    port = free_port()
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(port=port, certificate=combined), "utf-8")
    servers.enter_context(
        BackgroundProcess(
            [program("haproxy"), "-db", "-f", str(tmp_path / "haproxy.cfg")],
            log=tmp_path / "haproxy.log",
        )
    )
    wait_until(lambda: accepts(port), "HAProxy")
    haproxy = f"127.0.0.1:{port}"

    for address in (proxied, haproxy):
        result = verified(enrolled, address)
        assert result.exit_code == 1, address
        assert "set proxy_protocol" in result.errors
    result = verified(enrolled, strict)
    assert result.exit_code == 1
    assert "set server_name" in result.errors
    result = verified(enrolled, {"address": strict, "server_name": STRICT, "proxy_protocol": 1})
    assert result.exit_code == 1
    assert "remove proxy_protocol from" in result.errors

    result = verified(
        enrolled,
        *(
            {"address": each, "proxy_protocol": way}
            for each in (proxied, haproxy)
            for way in (1, 2)
        ),
        {"address": strict, "server_name": STRICT},
    )
    assert result.exit_code == 0, result.errors
    assert enrolled.state(BOSTON) == "trusted"


def test_listeners_with_starttls(
    enrolled: Gatecert, servers: ExitStack, tmp_path: Path, hostname: str
) -> None:
    directory = tmp_path / "mail"
    directory.mkdir()
    port = {name: free_port() for name in ("smtp", "imap", "pop3", "proxied", "smtps")}
    configuration = directory / "nginx.conf"
    configuration.write_text(
        MAIL.format(directory=directory, hostname=hostname, **enrolled.files(BOSTON), **port),
        "utf-8",
    )
    servers.enter_context(
        BackgroundProcess(
            [program("nginx"), "-e", "stderr", "-c", str(configuration)],
            log=directory / "nginx.log",
        )
    )
    wait_until(lambda: accepts(port["smtps"]), "nginx's mail proxy")
    at = {name: f"127.0.0.1:{number}" for name, number in port.items()}

    for protocol in ("smtp", "imap", "pop3"):
        result = verified(enrolled, at[protocol])
        assert result.exit_code == 1, protocol
        assert f"set starttls: {protocol}" in result.errors
    result = verified(enrolled, {"address": at["smtps"], "starttls": "smtp"})
    assert result.exit_code == 1
    assert "remove starttls from" in result.errors

    result = verified(
        enrolled,
        *({"address": at[protocol], "starttls": protocol} for protocol in ("smtp", "imap", "pop3")),
        {"address": at["proxied"], "starttls": "smtp", "proxy_protocol": 2},
        at["smtps"],
    )
    assert result.exit_code == 0, result.errors
    assert enrolled.state(BOSTON) == "trusted"
