"""Tests of ``install.verify``: a listener on one line, or a mapping with options."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from gatecert.config.addresses import TlsServer
from gatecert.model import Endpoint

ADAPTER: TypeAdapter[Endpoint] = TypeAdapter(TlsServer)


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("gate.example.com", Endpoint("gate.example.com", 443)),
        ({"address": "[::1]:993"}, Endpoint("::1", 993)),
        ({"address": "mx:25", "starttls": "smtp"}, Endpoint("mx", 25, starttls="smtp")),
        ({"address": "lb", "proxy_protocol": 2}, Endpoint("lb", 443, proxy_protocol=2)),
        ({"address": "lb", "proxy_protocol": "1"}, Endpoint("lb", 443, proxy_protocol=1)),
        (
            {"address": "lb:8443", "server_name": "WWW.example.com"},
            Endpoint("lb", 8443, server_name="www.example.com"),
        ),
    ],
)
def test_valid_listeners_are_parsed(written: object, endpoint: Endpoint) -> None:
    found = ADAPTER.validate_python(written)
    assert found == endpoint
    assert ADAPTER.validate_python(ADAPTER.dump_python(found)) == endpoint


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"starttls": "smtp"}, "has no address"),
        ({"address": "mx:25", "startls": "smtp"}, "did you mean starttls?"),
        ({"address": "mx:25", "starttls": "gopher"}, "write one of smtp, imap"),
        ({"address": "mx:25", "proxy_protocol": 3}, "write 1 or 2"),
        ({"address": "mx:25", "proxy_protocol": True}, "write 1 or 2"),
        ({"address": "mx:25", "proxy_protocol": [1]}, "write 1 or 2"),
        ({"address": "mx:25", "server_name": "a b"}, "is not a host name"),
        ({"address": "mx:x"}, "is not a host and a port"),
    ],
)
def test_invalid_listeners_are_refused(written: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(written)
    assert words in str(caught.value)
