from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from tests.fakes.pki import Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import SealingKeyMissingError
from gatecert.model import KeyType
from gatecert.store.postgres.sealing import SealingKeys, is_key_of, read_sealing_keys

if TYPE_CHECKING:
    from pathlib import Path

EARLIER, LATER = Fernet.generate_key(), Fernet.generate_key()
SECRET = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
WHAT = "the private key of gateway boston"


def test_the_first_key_seals_and_every_key_opens() -> None:
    before = SealingKeys([EARLIER]).seal(SECRET)
    changing = SealingKeys([LATER, EARLIER])
    assert changing.open(before, WHAT) == SECRET
    after = changing.seal(SECRET)
    assert SealingKeys([LATER]).open(after, WHAT) == SECRET
    with pytest.raises(SealingKeyMissingError):
        SealingKeys([EARLIER]).open(after, WHAT)


def test_a_sealed_key_shows_nothing_of_it() -> None:
    keys = SealingKeys([EARLIER])
    assert keys.seal(SECRET) != keys.seal(SECRET)
    assert b"MIIB" not in keys.seal(SECRET)


@pytest.mark.parametrize("sealed", [b"", b"\xff", SECRET, b"gAAAA"])
def test_a_key_that_nothing_opens_is_named(sealed: bytes) -> None:
    with pytest.raises(SealingKeyMissingError) as caught:
        SealingKeys([EARLIER]).open(sealed, WHAT)
    assert str(caught.value).startswith(f"{WHAT} is sealed with a key that this host does not have")
    assert "fleet.sealing_keys" in caught.value.fix


@pytest.mark.parametrize("keys", [[], [b"hunter2"], [EARLIER, b"hunter2"]])
def test_a_host_without_usable_keys_says_so_and_quotes_none(keys: list[bytes]) -> None:
    with pytest.raises(SealingKeyMissingError) as caught:
        SealingKeys(keys)
    assert "fleet.sealing_keys" in caught.value.fix
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / "seal-2026", tmp_path / "seal-2025"]
    for path, content in zip(paths, (LATER + b"\n", EARLIER), strict=True):
        path.write_bytes(content)
        path.chmod(0o600)
    sealed = read_sealing_keys(paths).seal(SECRET)
    assert SealingKeys([LATER]).open(sealed, WHAT) == SECRET


def test_a_file_that_cannot_be_used_is_told_by_its_number(tmp_path: Path) -> None:
    missing, weak = tmp_path / "missing", tmp_path / "weak"
    with pytest.raises(SealingKeyMissingError, match=r"sealing key 1 .* cannot be read") as caught:
        read_sealing_keys([missing])
    assert str(missing) not in str(caught.value)  # it may be the key itself
    weak.write_bytes(EARLIER)
    weak.chmod(0o666)
    with pytest.raises(SealingKeyMissingError, match="world-writable") as caught:
        read_sealing_keys([weak])
    assert str(weak) not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"S3cr3t", b"\xffS3cr3t\n", EARLIER[:-1]],
    ids=["empty", "text", "bytes", "cut"],
)
def test_a_file_that_contains_no_key_is_named_and_never_quoted(
    tmp_path: Path, content: bytes
) -> None:
    good, bad = tmp_path / "seal-2026", tmp_path / "seal-2025"
    for path, written in ((good, LATER), (bad, content)):
        path.write_bytes(written)
        path.chmod(0o600)
    with pytest.raises(SealingKeyMissingError) as caught:
        read_sealing_keys([good, bad])
    assert str(caught.value).startswith(f"{bad} contains no sealing key (32 bytes in base64url)")
    assert "neither seal nor open the fleet's private keys" in str(caught.value)
    command = caught.value.fix.partition("make the first one: ")[2]
    bad.write_bytes(subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout)
    assert read_sealing_keys([good, bad]).seal(SECRET)
    for secret in ("S3cr3t", EARLIER[:8].decode()):
        assert secret not in f"{caught.value!r} {caught.value.fix}"


def test_a_key_fits_its_own_certificate_and_request_only() -> None:
    mine, other = key.generate(KeyType.ECDSA_P256), key.generate(KeyType.ECDSA_P256)
    csr = build_request(mine, dns("boston.example.com"), common_name=None)
    assert is_key_of(mine, csr)
    assert not is_key_of(other, csr)
    assert not is_key_of(mine, csr[:100])
    assert not is_key_of(b"", csr)
    assert not is_key_of(SECRET, csr)


def test_a_key_fits_its_own_certificate_and_no_other() -> None:
    mine, other = Pki().issue(), Pki().issue()
    assert is_key_of(mine.key_pem, mine.pem)
    assert not is_key_of(other.key_pem, mine.pem)
