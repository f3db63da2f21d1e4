"""The listeners of metrics and the status page, which every user of the host reaches."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final

import pytest

from harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from harness.gatecert import Gatecert

TOKEN: Final = "s3cret-of-the-webhook"  # noqa: S105 - to be searched for
PATHS: Final = (
    "/etc/passwd",
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "//etc/passwd",
    "/gateways/hq/live/privkey.pem",
    "/hq/../../accounts/pebble/key.pem",
    "/status.json?file=/etc/passwd",
    "/static/../page.py",
    "/page.html.jinja",
    "/?gateway={{config}}",
    "http://127.0.0.1/etc/passwd",
)
OK: Final = 200
MISDIRECTED: Final = 421
METHODS: Final = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
STOLEN: Final = (b"PRIVATE KEY", b"root:", TOKEN.encode(), b"{%", b"import annotations")


def answer(port: int, method: str, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """Return status and content; 0 if the connection is closed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        body = None if method in {"GET", "CONNECT"} else b"x"
        connection.request(method, path, body=body, headers={"Host": f"{host}:{port}"})
        got = connection.getresponse()
        return got.status, got.read(1 << 20)
    except (http.client.HTTPException, ConnectionError):
        return 0, b""
    finally:
        connection.close()


@pytest.fixture
def ports(gatecert: Gatecert, tmp_path: Path) -> tuple[int, int]:
    """Start a daemon with metrics, page and a receiver; return the listeners' ports."""
    ports = free_port(), free_port()
    webhook = tmp_path / "webhook"
    webhook.touch(0o600)
    webhook.write_text(f"https://127.0.0.1:9/{TOKEN}\n")
    gatecert.add_gateway("hq", "hq.example.com", mode="custom")
    gatecert.configuration |= {
        "metrics": {"listen": [f"127.0.0.1:{ports[0]}"]},
        "page": {"listen": [f"127.0.0.1:{ports[1]}"]},
        "notify": [{"webhook_file": str(webhook)}],
    }
    gatecert.start()
    gatecert.wait_for(lambda: answer(ports[0], "GET", "/metrics")[0] == OK, "the metrics")
    gatecert.wait_for(lambda: answer(ports[1], "GET", "/status.json")[0] == OK, "the page")
    return ports


@pytest.mark.attack("read a key, a file or a secret by way of the metrics or the status page")
def test_the_listeners_show_nothing_but_the_status(ports: tuple[int, int]) -> None:
    seen = [answer(port, "GET", path) for port in ports for path in (*PATHS, "/", "/metrics")]
    shown = [content for status, content in seen if status == OK]

    assert shown, "the status is shown"
    assert [(text, content) for text in STOLEN for _, content in seen if text in content] == []


@pytest.mark.attack("change something by way of the metrics or the status page")
def test_the_listeners_change_nothing(ports: tuple[int, int], gatecert: Gatecert) -> None:
    before = (
        gatecert.process.pid,
        (gatecert.state_directory / "gateways/hq/state.json").read_bytes(),
    )

    for port in ports:
        for method in METHODS:
            for path in ("/", "/status.json", "/metrics", "/gateways/hq"):
                status, _ = answer(port, method, path)
                assert status in {0, 400, 405}, (method, path, status)

    after = gatecert.process.pid, (gatecert.state_directory / "gateways/hq/state.json").read_bytes()
    assert after == before
    assert [answer(port, "GET", "/")[0] for port in ports] == [OK, OK]


@pytest.mark.attack("read the status from a web page whose name resolves to this host")
def test_the_listeners_answer_to_no_name_of_a_stranger(ports: tuple[int, int]) -> None:
    """It is DNS rebinding: a browser on this host sends the name of the page as Host."""
    for port in ports:
        for path in ("/", "/metrics", "/status.json", "/events"):
            status, content = answer(port, "GET", path, "rebinding.example")
            assert status == MISDIRECTED, path
            assert b"hq" not in content
    assert [answer(port, "GET", "/", "localhost")[0] for port in ports] == [OK, OK]
