"""Any upload: certificates, keys, PKCS #7, PKCS #12, HTML pages, CRLs, client certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from tests.fakes.clock import NOW
from tests.fakes.custom_office import HOST, Office
from tests.fakes.users_office import Office as UserOffice
from tests.fuzz.command import gatecert
from tests.fuzz.material import one_of_octets, spoilt
from tests.fuzz.promise import check_line, promised, refused_properly
from tests.fuzz.scenes import scratch
from tests.fuzz.source import Make, just, lists, mapped, one_of

from gatecert.certificate import key
from gatecert.certificate.upload import Upload
from gatecert.client_ca import bundle_change
from gatecert.client_ca.bundle import Bundle, from_pem
from gatecert.client_ca.crl_files import read_crls
from gatecert.client_ca.lockout import count_and_names, locked_out, read_known_users
from gatecert.client_ca.user_check import check_user
from gatecert.custom.import_check import check_import

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRATCH: Final = scratch()
DIRECTORY: Final = SCRATCH.__enter__()
OFFICE: Final = Office(DIRECTORY / "state")
CSR: Final = OFFICE.csr()
SIGNED: Final = OFFICE.sign(CSR)
LEAF: Final = x509.load_pem_x509_certificate(SIGNED)
CHAIN: Final = [LEAF, OFFICE.middle.certificate, OFFICE.root.certificate]
STRAY: Final = ec.generate_private_key(ec.SECP256R1())
BARE: Final = b"".join(SIGNED.splitlines()[1:-1])
SEEDS: Final = (
    SIGNED,
    SIGNED + OFFICE.chain,
    OFFICE.chain,
    SIGNED.replace(b"\n", b"\r\n"),
    b"\xef\xbb\xbf" + SIGNED,
    SIGNED.decode().encode("utf-16"),
    LEAF.public_bytes(Encoding.DER),
    pkcs7.serialize_certificates(CHAIN, Encoding.DER),
    pkcs7.serialize_certificates(CHAIN, Encoding.PEM),
    pkcs12.serialize_key_and_certificates(b"x", STRAY, None, CHAIN, NoEncryption()),
    pkcs12.serialize_key_and_certificates(None, None, None, CHAIN, BestAvailableEncryption(b"x")),
    CSR.public_bytes(Encoding.PEM),
    CSR.public_bytes(Encoding.DER),
    key.to_pem(STRAY),
    STRAY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    STRAY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    STRAY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    SIGNED + key.to_pem(STRAY),
    BARE,
    SIGNED.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
    SIGNED.replace(b"CERTIFICATE", b"PKCS7"),
    b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + SIGNED,
    b"<!DOCTYPE html><html><body><pre>" + SIGNED + b"</pre></body></html>",
    b'{"certificate": "' + SIGNED.replace(b"\n", b"\\n") + b'"}',
    b'{"kty": "EC", "d": "AAAA"}',
    b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.7", b"\xfe\xed\xfe\xed", b"", b"\0" * 64,
)  # fmt: skip
files: Make[bytes] = one_of_octets(*SEEDS)
near: Make[bytes] = spoilt(just(SIGNED, OFFICE.chain, SIGNED + OFFICE.chain), 2)


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    SCRATCH.__exit__(None, None, None)


@promised(files, just("c.pem", "", "a b'c", "-x", "\x1b[2J", "a" * 5000), share=50)
def test_a_file_that_is_handed_in(contents: bytes, name: str) -> None:
    with refused_properly():
        assert Upload("the certificate file", name, contents).certificates()


@promised(one_of(files, near, near), one_of(files, near, just(OFFICE.chain)), share=20)
def test_a_certificate_that_is_imported(certificate: bytes, chain: bytes) -> None:
    with refused_properly():
        accepted = check_import(
            OFFICE.store, OFFICE.target, OFFICE.uploads(certificate, chain), now=NOW,
            system_roots=(),
        )  # fmt: skip
        assert accepted.summary.key_fingerprint == key.fingerprint(LEAF.public_key())
        for note in accepted.issued.notes:
            check_line(note)


def configuration() -> str:
    path = DIRECTORY / "config.yaml"
    if not path.exists():
        path.write_text(
            f"state_directory: {DIRECTORY / 'state'}\n"
            f"gateways:\n  hq: {{hostname: {HOST}, mode: custom,"
            f" client_authentication: {{known_users: {DIRECTORY}}}}}\n",
            "ascii",
        )
    return str(path)


@promised(files, just(("import", "hq", "--certificate"), ("client-ca", "add", "hq"),
                      ("client-ca", "check", "hq")), examples=60, share=1)  # fmt: skip
def test_commands_that_take_a_file(contents: bytes, command: tuple[str, ...]) -> None:
    path = DIRECTORY / "handed-in"
    path.write_bytes(contents)
    gatecert("-c", configuration(), *command, str(path))
    gatecert("-c", configuration(), "status", "--json")


# --------------------------------------------------------------------------- users

USERS: Final = UserOffice(OFFICE.pki)
USER_ROOT: Final = USERS.root()
BRANCH: Final = USERS.intermediate(USER_ROOT)
ALICE: Final = USERS.user(BRANCH)
OTHER: Final = USERS.root("Others")
LIST: Final = USERS.crl(USER_ROOT, BRANCH, reason=x509.ReasonFlags.key_compromise)
BUNDLE: Final = Bundle((USER_ROOT.certificate, BRANCH.certificate))
AUTHORITIES: Final = (
    USER_ROOT.pem, BRANCH.pem, OTHER.pem, USER_ROOT.pem + BRANCH.pem + OTHER.pem, ALICE.pem,
)  # fmt: skip
LISTS: Final = (LIST.public_bytes(Encoding.PEM), LIST.public_bytes(Encoding.DER))


@promised(one_of_octets(*AUTHORITIES), share=30)
def test_an_authority_of_users(contents: bytes) -> None:
    with refused_properly():
        uploaded = Upload("the authority's file", "ca.pem", contents).certificates()
        changed = bundle_change.add(BUNDLE, uploaded, now=NOW)
        check_line(str(changed))
        written = changed.bundle.to_pem(now=NOW)
        assert from_pem(written) == changed.bundle
    with refused_properly():
        from_pem(contents)


@promised(one_of_octets(*LISTS), one_of_octets(ALICE.pem + BRANCH.pem, ALICE.pem), share=30)
def test_a_revocation_list_and_a_user(revoked: bytes, user: bytes) -> None:
    path = DIRECTORY / "users.crl"
    path.write_bytes(revoked)
    with refused_properly():
        lists_read = read_crls([path])
        certificates = Upload("the user's file", "alice.pem", user).certificates()
        judgement = check_user(certificates, BUNDLE, lists_read, now=NOW)
        for line in (*judgement.reasons, *judgement.notes):
            assert line == "" or line.isprintable()


@promised(mapped(lists(one_of_octets(ALICE.pem, ALICE.der, BRANCH.pem), 3), tuple), share=10)
def test_a_folder_of_users(contents: tuple[bytes, ...]) -> None:
    folder = DIRECTORY / "users"
    folder.mkdir(exist_ok=True)
    for number in range(3):
        (folder / f"user-{number}.crt").write_bytes(b"".join(contents[number : number + 1]))
    known = read_known_users(folder)
    assert len(known.users) + len(known.unreadable) == 3
    with refused_properly():
        gone = locked_out(known.users, BUNDLE, Bundle((OTHER.certificate,)), now=NOW)
        check_line(count_and_names(gone))


def test_what_is_right_is_accepted() -> None:
    accepted = check_import(
        OFFICE.store, OFFICE.target, OFFICE.uploads(SIGNED), now=NOW, system_roots=()
    )
    assert accepted.issued.private_key
    assert check_user([ALICE.certificate, BRANCH.certificate], BUNDLE, (), now=NOW).accepted
