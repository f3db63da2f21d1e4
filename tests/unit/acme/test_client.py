from __future__ import annotations

import hashlib
import json
import logging
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from josepy.b64 import b64decode, b64encode
from tests.fakes.acme_server import BASE, DIRECTORY_URL, FakeAuthority, answer, problem
from tests.fakes.acme_stores import Journal
from tests.fakes.clock import NOW, Timeless
from tests.fakes.keys import rsa_key
from tests.fakes.leases import PlayedLease
from tests.fakes.pki import dns

from gatecert.acme.client import Client
from gatecert.acme.resources import READY
from gatecert.acme.session import MAX_NONCE_RETRIES
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    LeaseLostError,
    RateLimitedError,
)
from gatecert.model import Account, Identifier, IdentifierType, Target

if TYPE_CHECKING:
    from gatecert.acme.transport import Sender
    from gatecert.deadline import Deadline
    from gatecert.http.fetcher import Response

NAMES = dns("vpn.example.com")


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


# --------------------------------------------------------------------------- directory


def test_the_directory_is_cached(
    client: Client, authority: FakeAuthority, deadline: Deadline
) -> None:
    assert client.directory(deadline) is client.directory(deadline)
    assert len(authority.sent("directory")) == 1

    forgetful = Client("acme", DIRECTORY_URL, transport=authority, directory_seconds=0.0)
    forgetful.directory(deadline)
    forgetful.directory(deadline)
    assert len(authority.sent("directory")) == 3


def test_the_directory_is_fetched_again_after_suspend_or_a_set_clock(
    authority: FakeAuthority, deadline: Deadline
) -> None:
    clock = [NOW]
    client = Client("acme", DIRECTORY_URL, transport=authority, now=lambda: clock[0])
    client.directory(deadline)
    clock[0] = NOW + timedelta(days=21)  # the monotonic clock stood still meanwhile
    client.directory(deadline)
    client.directory(deadline)
    assert len(authority.sent("directory")) == 2
    clock[0] = NOW
    client.directory(deadline)
    assert len(authority.sent("directory")) == 3


def test_a_web_page_instead_of_a_directory(
    client: Client, authority: FakeAuthority, deadline: Deadline
) -> None:
    authority.queued["directory"].append(answer(200, b"<html>welcome"))

    with pytest.raises(AuthorityUnreachableError, match=r"CA acme \(ca.test\)"):
        client.directory(deadline)


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (
            answer(404, b"<html>not found"),
            "no directory at https://ca.test/directory: HTTP 404",
        ),
        (problem("malformed", "no such page", 404), "HTTP 404"),
        (answer(200, b"<html>welcome"), "not ACME"),
    ],
)
def test_a_wrong_directory_url_is_reported(
    client: Client, authority: FakeAuthority, deadline: Deadline, wrong: Response, seen: str
) -> None:
    authority.queued["directory"].append(wrong)

    with pytest.raises(AuthorityUnreachableError, match=seen) as caught:
        client.directory(deadline)
    assert caught.value.fix.startswith("correct authorities.acme.directory_url; ")


def test_the_directory_of_a_public_ca_is_suggested(deadline: Deadline) -> None:
    def send(*_: object, **__: object) -> Response:
        return answer(404, b"")

    sender = SimpleNamespace(send=send)
    wrong = "https://acme-v02.api.letsencrypt.org/acme"
    client = Client("le", wrong, transport=cast("Sender", sender))
    with pytest.raises(AuthorityUnreachableError) as caught:
        client.directory(deadline)
    assert caught.value.fix == (
        "correct authorities.le.directory_url: "
        "did you mean https://acme-v02.api.letsencrypt.org/directory?"
    )


# --------------------------------------------------------------------------- accounts


def test_a_key_has_one_account(
    client: Client, authority: FakeAuthority, account_key: bytes, deadline: Deadline
) -> None:
    contact = ("mailto:ops@example.com",)
    made = client.new_account(account_key, contact, deadline)

    assert client.new_account(account_key, contact, deadline) == made
    assert client.find_account(account_key, deadline) == made
    first, _, found = authority.sent("new-account")
    assert first.payload == {"termsOfServiceAgreed": True, "contact": list(contact)}
    assert first.header["alg"] == "ES256"
    assert "kid" not in first.header
    assert found.payload == {"onlyReturnExisting": True}


def test_a_key_without_an_account(client: Client, account_key: bytes, deadline: Deadline) -> None:
    with pytest.raises(AccountMissingError):
        client.find_account(account_key, deadline)


def test_an_account_without_a_url(
    client: Client, authority: FakeAuthority, account_key: bytes, deadline: Deadline
) -> None:
    authority.queued["new-account"].append(answer(201, {"status": "valid"}))

    with pytest.raises(AuthorityUnreachableError, match="the account has no URL"):
        client.new_account(account_key, (), deadline)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (rsa_key(), "RS256"),
    ],
)
def test_each_key_type_signs_with_its_algorithm(
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    algorithm: str,
) -> None:
    client.new_account(private_pem(key), (), deadline)

    assert authority.sent("new-account")[0].header["alg"] == algorithm


def test_a_damaged_account_key(client: Client, deadline: Deadline) -> None:
    broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"

    with pytest.raises(AuthorityError, match="account key cannot be read") as caught:
        client.new_account(broken, (), deadline)

    assert "AAAA" not in str(caught.value)


def test_an_unsupported_account_key(client: Client, deadline: Deadline) -> None:
    key = ed448.Ed448PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(AuthorityError, match="neither ECDSA nor RSA"):
        client.new_account(key, (), deadline)


def test_an_external_account_binding_is_signed_for_the_account_key(
    client: Client, authority: FakeAuthority, account_key: bytes, deadline: Deadline
) -> None:
    hmac_key = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
    binding = client.external_account_binding(account_key, "kid-1", hmac_key, "HS256", deadline)
    client.new_account(account_key, (), deadline, binding=binding)

    sent = (authority.sent("new-account")[0].payload or {})["externalAccountBinding"]
    header = json.loads(b64decode(sent["protected"]))
    assert header == {"alg": "HS256", "kid": "kid-1", "url": f"{BASE}/new-account"}
    assert json.loads(b64decode(sent["payload"])) == authority.sent("new-account")[0].header["jwk"]


def test_contact_addresses_are_updated(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    client.update_contact(account, ("mailto:new@example.com",), deadline)

    (request,) = authority.sent("account")
    assert request.payload == {"contact": ["mailto:new@example.com"]}
    assert request.header["kid"] == account.url


def test_contact_addresses_are_removed(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    client.update_contact(account, (), deadline)

    assert authority.sent("account")[0].payload == {"contact": []}


# --------------------------------------------------------------------------- nonces


def test_a_rejected_nonce_is_replaced_by_the_one_in_the_error(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    authority.rejected_nonces = MAX_NONCE_RETRIES
    before = len(authority.sent("new-nonce"))

    client.new_order(account, NAMES, deadline)

    assert len(authority.sent("new-order")) == MAX_NONCE_RETRIES + 1
    assert len(authority.sent("new-nonce")) == before
    nonces = [request.header["nonce"] for request in authority.sent("new-order")]
    assert len(set(nonces)) == len(nonces)


def test_a_ca_that_rejects_every_nonce(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    authority.rejected_nonces = 1000

    with pytest.raises(ACMEError, match="badNonce"):
        client.new_order(account, NAMES, deadline)

    assert len(authority.sent("new-order")) == MAX_NONCE_RETRIES + 1


@pytest.mark.parametrize("nonce", ["", "not base64!", "YQ==", "ab"])
def test_a_missing_or_malformed_nonce(
    client: Client,
    authority: FakeAuthority,
    account_key: bytes,
    deadline: Deadline,
    nonce: str,
) -> None:
    authority.queued["new-nonce"].append(answer(200, b"", {"Replay-Nonce": nonce}))

    with pytest.raises(AuthorityUnreachableError, match="it has no nonce"):
        client.new_account(account_key, (), deadline)


def test_threads_share_connections_and_nonces(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    urls: list[str] = []

    def order() -> None:
        urls.extend(client.new_order(account, NAMES, deadline).url for _ in range(20))

    threads = [threading.Thread(target=order) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(urls)) == 80
    nonces = [each.header["nonce"] for each in authority.requests if each.method == "POST"]
    assert len(set(nonces)) == len(nonces)


# --------------------------------------------------------------------------- the lease


def test_the_lease_is_looked_at_again_before_each_repetition(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    authority.rejected_nonces = 3
    lease = PlayedLease(lost_after=2)

    with pytest.raises(LeaseLostError):
        client.new_order(account, NAMES, deadline, lease=lease)

    assert len(authority.sent("new-order")) == 2


def test_the_lease_is_looked_at_after_a_pause_of_the_ca(
    client: Client, authority: FakeAuthority, account: Account
) -> None:
    deadline, waited = Timeless(300.0), []

    class Watched:
        def check(self) -> None:
            waited.append(deadline.waited)

    client.pause.extend(30.0)
    client.new_order(account, NAMES, deadline, lease=Watched())

    assert waited == [pytest.approx(30.0, abs=1.0)]
    assert len(authority.sent("new-order")) == 1


@pytest.mark.parametrize(("asked", "told"), [((4, 4), []), ((9, 9, 5), [9]), ((9, 4, 60), [9, 60])])
def test_a_pause_is_told_to_other_hosts_if_it_is_long_and_news(
    client: Client, authority: FakeAuthority, asked: tuple[int, ...], told: list[int]
) -> None:
    pauses: list[timedelta] = []
    client.tell_pause = pauses.append
    for seconds in asked:
        authority.queued["directory"].append(
            problem("rateLimited", status=503, Retry_After=f"{seconds}")
        )
        with pytest.raises(RateLimitedError):
            client.directory(Timeless(300.0))
    assert pauses == [timedelta(seconds=seconds) for seconds in told]


# --------------------------------------------------------------------------- orders


def test_an_order_has_profile_and_replaces(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    names = (*NAMES, Identifier(IdentifierType.IP, "2001:db8::1"))
    order = client.new_order(account, names, deadline, profile="short", replaces="aa.bb")

    assert authority.sent("new-order")[0].payload == {
        "identifiers": [
            {"type": "dns", "value": "vpn.example.com"},
            {"type": "ip", "value": "2001:db8::1"},
        ],
        "profile": "short",
        "replaces": "aa.bb",
    }
    assert order.status == "pending"
    assert order.url.startswith(f"{BASE}/order/")


def test_an_order_omits_unset_fields(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    client.new_order(account, NAMES, deadline)

    assert authority.sent("new-order")[0].payload == {
        "identifiers": [{"type": "dns", "value": "vpn.example.com"}]
    }


def test_an_order_is_fetched_by_post_as_get(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    url = client.new_order(account, NAMES, deadline).url
    authority.queued["order"].append(
        answer(
            200,
            {"status": "processing", "authorizations": [], "finalize": "https://f"},
            {"Retry-After": "7"},
        )
    )
    order = client.order(account, url, deadline)

    assert (order.url, order.status, order.retry_after) == (url, "processing", 7.0)
    assert authority.sent("order")[0].payload is None


def test_a_key_authorization_is_token_and_thumbprint(client: Client) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    x, y = (b64encode(number.to_bytes(32)).decode() for number in (numbers.x, numbers.y))
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'  # RFC 7638 section 3
    thumbprint = b64encode(hashlib.sha256(canonical.encode()).digest()).decode()

    text = client.key_authorization(Account(private_pem(key), f"{BASE}/account/1"), "abc")

    assert text == f"abc.{thumbprint}"


def test_from_order_to_download(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    journal = Journal(Target("boston", NAMES, "vpn.example.com"))
    request = journal.new_request()
    placed = client.new_order(account, NAMES, deadline)
    (url,) = placed.authorizations
    authorization = client.authorization(account, url, deadline)
    offer = next(each for each in authorization.challenges if each.type == "http-01")
    authority.queued["challenge"].append(answer(200, {}, {"Retry-After": "4"}))

    assert client.respond_to_challenge(account, offer.url, deadline) == 4.0
    assert client.respond_to_challenge(account, offer.url, deadline) is None
    ready = client.order(account, placed.url, deadline)
    assert ready.status == READY
    finalized = client.finalize(account, ready, request.csr, deadline)
    assert (finalized.status, finalized.url) == ("processing", placed.url)
    assert finalized.retry_after == 600.0
    valid = client.order(account, placed.url, deadline)
    download = client.download(account, valid.certificate, deadline)
    leaf, _ = x509.load_pem_x509_certificates(download.fullchain)
    assert leaf.public_key() == x509.load_pem_x509_csr(request.csr).public_key()


def test_alternate_chains_are_found(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    link = f'<{BASE}/certificate/9/1>;rel="alternate", <{BASE}/directory>;rel="index"'
    authority.queued["certificate"].append(answer(200, b"PEM", {"Link": link}))

    download = client.download(account, f"{BASE}/certificate/9", deadline)

    assert download.fullchain == b"PEM"
    assert download.alternates == (f"{BASE}/certificate/9/1",)


def test_errors_are_raised(
    client: Client, authority: FakeAuthority, account: Account, deadline: Deadline
) -> None:
    authority.queued["new-order"].append(problem("rateLimited", status=429, Retry_After="60"))

    with pytest.raises(RateLimitedError):
        client.new_order(account, NAMES, deadline)


# --------------------------------------------------------------------------- ARI


def test_renewal_info_is_requested_without_a_signature(
    client: Client, authority: FakeAuthority, deadline: Deadline
) -> None:
    window = client.suggested_window("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", deadline)

    assert window is not None
    assert window.retry_after == 21600.0
    (request,) = authority.sent("renewal-info")
    assert (request.method, request.path) == (
        "GET",
        "/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
    )


def test_a_ca_without_renewal_info(
    client: Client, authority: FakeAuthority, deadline: Deadline
) -> None:
    authority.renewal_info = False

    assert client.suggested_window("aa.bb", deadline) is None


# --------------------------------------------------------------------------- logging


def test_the_libraries_do_not_log_requests(
    client: Client, account_key: bytes, deadline: Deadline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.new_account(account_key, ("mailto:ops@example.com",), deadline)

    assert not [
        record
        for record in caplog.records
        if record.name.startswith(("acme", "josepy", "urllib3", "requests"))
    ]
    assert "ops@example.com" not in caplog.text


def test_a_client_has_a_default_transport_and_clock() -> None:
    assert Client("acme", DIRECTORY_URL).label == "CA acme (ca.test)"
    assert NOW.tzinfo is not None
