"""Any CRL distribution point and any response of a CRL host.

What is wrong is signed properly, so that it is read to its end; what is not signed comes as well.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ReasonFlags
from tests.fakes.clock import DAY, NOW
from tests.fakes.crl import URL, crl, leaf, point, uri
from tests.fakes.pki import Pki, der
from tests.fuzz.material import HTTP_DATES, URLS, one_of_octets, spoilt
from tests.fuzz.promise import check_line, promised, refused_properly
from tests.fuzz.scenes import listener, stop_listening
from tests.fuzz.source import Make, Source, boolean, just, mapped, one_of
from tests.unit.revocation.test_crl import CRL_NUMBER, ISSUER_ALTERNATIVE_NAME
from tests.unit.revocation.test_crl_lookup import Hosts, Kept

from gatecert.certificate.pem import parse
from gatecert.deadline import Deadline
from gatecert.model import RevocationReason, StoredList
from gatecert.revocation.crl_download import MAX_CRL_BYTES, download
from gatecert.revocation.crl_lookup import CrlLookup

if TYPE_CHECKING:
    from collections.abc import Iterator

DELTA: Final = "http://ca.example/delta.crl"
ROOT: Final = Pki().root()
LEAF: Final = leaf(ROOT, point(URL))
ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 section 3.2
FRESHEST: Final = x509.FreshestCRL([point(DELTA)])
OTHER_NAME: Final = x509.IssuerAlternativeName([x509.DNSName("ca.example")])


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    stop_listening()


def signed(content: bytes) -> bytes:
    """A certificate or a list of the root's, whatever is in it."""
    assert isinstance(ROOT.private_key, ec.EllipticCurvePrivateKey)
    signature = ROOT.private_key.sign(content, ec.ECDSA(hashes.SHA256()))
    return der(0x30, content + ECDSA_WITH_SHA256 + der(0x03, b"\0" + signature))


REVOKED: Final = (
    (LEAF, ReasonFlags.key_compromise),
    (LEAF, ReasonFlags.remove_from_crl),
    (LEAF, None),
)
LISTS: Final = (
    crl(ROOT).tbs_certlist_bytes,
    *(crl(ROOT, [each]).tbs_certlist_bytes for each in REVOKED),
    crl(ROOT, [REVOKED[0]], part={"full_name": [uri(URL)]}).tbs_certlist_bytes,
    crl(ROOT, [REVOKED[0]], extensions=[(FRESHEST, False)]).tbs_certlist_bytes,
    crl(ROOT, number=8, base=7).tbs_certlist_bytes,
    crl(ROOT, extensions=[(OTHER_NAME, False)]).tbs_certlist_bytes.replace(
        ISSUER_ALTERNATIVE_NAME, CRL_NUMBER
    ),
)
CERTIFICATES: Final = (
    LEAF.tbs_certificate_bytes,
    leaf(ROOT, point(URL), point(DELTA)).tbs_certificate_bytes,
    leaf(ROOT, point(URL, reasons=frozenset({ReasonFlags.key_compromise}))).tbs_certificate_bytes,
    leaf(ROOT, point(issuer="Else"), point("ldap://ca.example/x")).tbs_certificate_bytes,
)
WHOLE: Final = tuple(
    encoded
    for each in (crl(ROOT), crl(ROOT, [REVOKED[0]]))
    for encoded in (each.public_bytes(Encoding.DER), each.public_bytes(Encoding.PEM))
)

revocation_lists: Make[bytes] = one_of(
    mapped(spoilt(just(*LISTS), 2), signed),
    mapped(spoilt(just(*LISTS), 2), signed),
    one_of_octets(*WHOLE),
)
certificates: Make[bytes] = one_of(
    just(LEAF.public_bytes(Encoding.DER)), mapped(spoilt(just(*CERTIFICATES), 2), signed)
)


@promised(certificates, revocation_lists, revocation_lists, boolean, share=40)
def test_what_lists_say(certificate: bytes, complete: bytes, delta: bytes, kept: bool) -> None:  # noqa: FBT001 - drawn
    store = Kept({URL: StoredList(delta, NOW - DAY, '"1"', "then")} if kept else {})
    lists = CrlLookup(store, lambda: NOW, Hosts({URL: complete, DELTA: delta}))
    with refused_properly():
        read = parse(certificate)
        report = lists.look_up(read, [ROOT.certificate])
        if report is not None:
            check_line(report.problem or report.source)
            if report.entry is not None:
                assert report.entry.reason in RevocationReason
                assert report.entry.revoked.tzinfo is not None


# --------------------------------------------------------------------------- hosts

HEADERS: Final = (
    "Content-Length: 3",
    "Content-Length: 99999999999999999999",
    "Content-Length: -1",
    "Content-Length: x",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Content-Encoding: gzip",
    "Connection: keep-alive",
    'ETag: "1"',
    "ETag: \x1b[2J",
    " folded",
    ": nameless",
    "X" * 70_000 + ": y",
    *(f"Last-Modified: {each}" for each in HTTP_DATES),
    *(f"Location: {each}" for each in URLS),
    *(f"Location: {each}" for each in ("//ca.example", "http://", "?", "http://[::1", "http:///x")),
)
STATUS: Final = ("200 OK", "206 Partial Content", "302 Found", "304 Not Modified", "404 \x1b[2J",
                 "407 No", "500", "999 ?", "-1 x", "100 Continue", "")  # fmt: skip
BODIES: Final = (
    b"abc",
    b"",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"fffffffffffffffffffff\r\nabc",
    b"-1\r\n\r\n",
    *WHOLE,
)


def responses(source: Source) -> bytes:
    """Return a response of a CRL's host."""
    version = source.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "ICY", ""))
    headers = source.some(HEADERS, 4) * source.choice((1, 1, 1, 60))
    head = "\r\n".join((f"{version} {source.choice(STATUS)}", *headers, "", ""))
    whole = head.encode("utf-8", "surrogatepass") + source.choice(BODIES)
    return spoilt(just(whole))(source)


@contextmanager
def nobody_else() -> Iterator[None]:
    """No other host is to be found."""
    resolve = socket.getaddrinfo

    def find(host: str, *arguments: int, **named: int) -> object:
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *arguments, **named)

    with patch.object(socket, "getaddrinfo", find), patch.dict(os.environ, no_proxy="*"):
        yield


@promised(responses, just("", '"1"'), share=4)
def test_what_a_host_sends(said: bytes, etag: str) -> None:
    listener().says = said
    with nobody_else(), refused_properly():
        url = f"http://{listener().endpoint.host}:{listener().endpoint.port}/1.crl"
        sent = download(url, Deadline.after(1.0), etag=etag)
        assert sent.data is not None or etag
        assert len(sent.data or b"") <= MAX_CRL_BYTES
        for each in (sent.etag, sent.last_modified):
            assert each.isprintable()
            assert len(each) < 1000


def test_a_good_list_passes() -> None:
    """The properties above are worth something only if what is right passes them."""
    hosts = Hosts({URL: signed(LISTS[1])})
    certificate = parse(signed(CERTIFICATES[0]))
    report = CrlLookup(Kept(), lambda: NOW, hosts).look_up(certificate, [ROOT.certificate])
    assert report is not None
    assert report.entry is not None
    assert report.entry.reason is RevocationReason.KEY_COMPROMISE

    listener().says = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 3\r\n\r\nabc'
    endpoint = listener().endpoint
    with nobody_else():
        sent = download(f"http://{endpoint.host}:{endpoint.port}/", Deadline.after(1.0))
    assert (sent.data, sent.etag) == (b"abc", '"1"')
