"""haproxy.cfg: one more certificate, and the way of http-01 through it."""

from __future__ import annotations

import pytest
from tests.fakes.server_files import ServerFiles

from gatecert.setup.haproxy_settings import forwarding, names, plan

FILE = "/etc/haproxy/haproxy.cfg"
COPY = "/etc/haproxy/gatecert/gate.pem"
TEXT = """\
defaults
\tmode\thttp

frontend web
    bind :80
    bind :443 ssl crt /etc/ssl/old.pem alpn h2  # TLS
    http-request redirect scheme https unless { ssl_fc }
    use_backend shop if { hdr(host) -i shop.widgets.test }
    default_backend app

backend app
    server one 127.0.0.1:8080
"""


def files(text: str, *covered: str) -> ServerFiles:
    return ServerFiles({FILE: text}, covered=frozenset(covered))


def test_another_certificate_is_added() -> None:
    found = plan(files(TEXT).wanted())

    (edit,) = found.edits
    assert edit.after == TEXT.replace("/etc/ssl/old.pem", f"/etc/ssl/old.pem crt {COPY}")
    assert found.install == {
        "copy_to": [{"path": COPY, "contents": "combined"}],
        "verify": ["127.0.0.1:443"],
    }
    assert plan(files(edit.after).wanted()).is_complete


def test_one_for_the_same_name_is_replaced() -> None:
    (edit,) = plan(files(TEXT, "/etc/ssl/old.pem").wanted()).edits

    assert edit.after == TEXT.replace("/etc/ssl/old.pem", COPY)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace(" ssl crt /etc/ssl/old.pem", ""), "no bind line with TLS"),
        (TEXT + "frontend b\n  bind :443 ssl crt /x\n", "several bind lines"),
        (TEXT.replace("crt /", "crt-list /"), "not one with a port and crt"),
    ],
)
def test_what_is_not_certain_is_left_to_the_operator(text: str, why: str) -> None:
    found = plan(files(text).wanted())

    assert why in found.by_hand
    assert not found.edits
    assert found.shown == {FILE: (f"bind :443 ssl crt {COPY}",)}
    assert "there is no" in plan(ServerFiles().wanted()).by_hand


def test_http_01_is_forwarded_before_everything_else() -> None:
    edit = forwarding(files(TEXT).wanted())

    assert edit is not None
    condition = "if { path_beg /.well-known/acme-challenge/ }"
    assert edit.after == TEXT.replace(
        "    http-request", f"    http-request allow {condition}\n    http-request"
    ).replace(
        "    use_backend", f"    use_backend gatecert-http-01 {condition}\n    use_backend"
    ) + ("\nbackend gatecert-http-01\n    mode http\n    server gatecert 127.0.0.1:888\n")
    again = forwarding(files(edit.after).wanted())
    assert again is not None
    assert again.after == again.before


def test_a_last_frontend_without_backend_gets_the_rule_at_its_end() -> None:
    edit = forwarding(files("frontend web\n  mode http\n  bind *:80").wanted())

    assert edit is not None
    assert edit.after.startswith("frontend web\n  mode http\n  bind *:80\n    use_backend")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("bind :80", "bind :8080"),
        TEXT.replace("http\n\nfrontend", "tcp\n\nfrontend"),
        TEXT.replace("    default_backend", "    redirect scheme https\n    default_backend"),
    ],
)
def test_nothing_is_forwarded_where_it_is_not_safe(text: str) -> None:
    assert forwarding(files(text).wanted()) is None


def test_names() -> None:
    assert names(files(TEXT).wanted()) == ["shop.widgets.test"]
