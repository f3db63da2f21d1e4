from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from tests.fakes.pki import unsigned

from gatecert.model import Endpoint
from gatecert.verify.served_chain import describe

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def certificate(*names: x509.GeneralName, subject: str = "") -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
    builder = unsigned(
        x509.Name(attributes),
        x509.Name([]),
        key.public_key(),
        begin=NOW,
        end=NOW + timedelta(days=90),
        serial=7,
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not subject)
    return builder.sign(key, SHA256())


@pytest.mark.parametrize(
    ("names", "subject", "shown"),
    [
        (("a.example", "b.example"), "", "a.example, b.example"),
        (("a.example",), "other", "a.example"),
        (
            ("a.example", "b.example", "c.example", "d.example", "e.example"),
            "",
            "a.example, b.example, c.example and 2 more",
        ),
        ((), "gate", "CN=gate"),
        ((), "", ""),
    ],
)
def test_a_certificate_is_shown_by_its_alternative_names_or_its_subject(
    names: tuple[str, ...], subject: str, shown: str
) -> None:
    leaf = certificate(*map(x509.DNSName, names), subject=subject)
    assert describe(Endpoint("127.0.0.1", 443), [leaf]).name == shown


def test_an_address_is_an_alternative_name_too() -> None:
    leaf = certificate(x509.IPAddress(ip_address("192.0.2.1")))
    assert describe(Endpoint("127.0.0.1", 443), [leaf]).name == "192.0.2.1"
