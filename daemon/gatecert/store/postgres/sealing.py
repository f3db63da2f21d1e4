"""Sealing of private keys before they leave the host.

Keys are encrypted and authenticated with Fernet (AES-128-CBC and HMAC-SHA256). The first of
``fleet.sealing_keys`` seals and each of them opens, so a new key is added in front, on all hosts,
before the old one is removed. The database never has a sealing key: a dump of it opens nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatecert.errors import SealingKeyMissingError
from gatecert.trusted_files import WeakFileError, read_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEW_KEY: Final = "openssl rand -base64 32 | tr +/ -_"
FIX = "list the key that sealed it in fleet.sealing_keys of this host"


class SealingKeys:
    """The sealing keys of a host.

    Args:
        keys: Fernet keys (32 bytes, base64url), the one that seals first.

    Raises:
        SealingKeyMissingError: There is none, or one is not a Fernet key.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise SealingKeyMissingError(
                "this host has no sealing key, so it cannot use the fleet's private keys",
                fix="name a file with a Fernet key in fleet.sealing_keys",
            )
        try:
            every = [Fernet(key.strip()) for key in keys]
        except ValueError:
            raise SealingKeyMissingError(
                "a sealing key of this host is not 32 bytes in base64url",
                fix="correct the files of fleet.sealing_keys",
            ) from None  # the cause could quote the key
        self._first, self._keys = every[0], MultiFernet(every)

    def seal(self, secret: bytes) -> bytes:
        """Encrypt a secret with the first key."""
        return self._keys.encrypt(secret)

    def open(self, sealed: bytes, what: str) -> bytes:
        """Decrypt a secret.

        Args:
            sealed: What `seal` of some host returned.
            what: The secret in messages: "the private key of …".

        Raises:
            SealingKeyMissingError: No key of this host has sealed it, or it is damaged.
        """
        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            raise _missing(what) from None

    def sealed_anew(self, sealed: bytes, what: str) -> bytes | None:
        """Return a secret sealed with the first key; None if it is sealed with that one already.

        Args:
            sealed: As for `open`.
            what: As for `open`.

        Raises:
            SealingKeyMissingError: No key of this host has sealed it, or it is damaged.
        """
        with suppress(InvalidToken):
            self._first.decrypt(sealed)
            return None
        try:
            return self._keys.rotate(sealed)
        except InvalidToken:
            raise _missing(what) from None


def _missing(what: str) -> SealingKeyMissingError:
    return SealingKeyMissingError(
        f"{what} is sealed with a key that this host does not have, or is damaged,"
        f" so this host cannot use it",
        fix=FIX,
    )


def read_sealing_keys(paths: Sequence[Path]) -> SealingKeys:
    """Read the files of ``fleet.sealing_keys``, in their order.

    Raises:
        SealingKeyMissingError: One cannot be read or is none, or somebody else may change it.
    """
    keys = []
    for number, path in enumerate(paths, 1):
        try:
            keys.append(read_secret(path))
            SealingKeys(keys[-1:])
        except SealingKeyMissingError:
            raise SealingKeyMissingError(
                f"{path} contains no sealing key (32 bytes in base64url), so this host can neither"
                " seal nor open the fleet's private keys",
                fix="copy the key from another host of the cluster to it, or make the first one:"
                f" {NEW_KEY}",
            ) from None  # the cause knows no more
        except WeakFileError as error:
            raise SealingKeyMissingError(
                f"sealing key {number} of this host is in a file that {error.weakness}",
                fix=error.fix,
            ) from error
        except OSError as error:
            raise SealingKeyMissingError(
                f"sealing key {number} of this host cannot be read: {error.strerror}",
                fix="correct the file that fleet.sealing_keys names",
            ) from error
    return SealingKeys(keys)


def is_key_of(private_key: bytes, holder: bytes) -> bool:
    """Tell whether a private key belongs to a certificate or a CSR.

    Args:
        private_key: PEM, unencrypted.
        holder: A certificate or a certificate signing request, PEM.

    Returns:
        False also if one of them is malformed.
    """
    try:
        owner = (
            x509.load_pem_x509_csr(holder)
            if b"CERTIFICATE REQUEST-----" in holder
            else x509.load_pem_x509_certificate(holder)
        )
        key = load_pem_private_key(private_key, None)
        return bool(key.public_key() == owner.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
