"""A certificate and its private key, loaded from files of the operator into a TLS context."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.errors import CertificateError
from gatecert.regular_files import IrregularFileError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

MISMATCH: Final = "KEY_VALUES_MISMATCH"  # OpenSSL's name of this reason


class _EncryptedKeyError(Exception):
    """OpenSSL asks for a passphrase."""


def load_key_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load a certificate and its key, neither of which can be anything but a regular file.

    Raises:
        CertificateError: They cannot be used; one line, without content of the key.
    """
    path = certificate
    try:
        with regular_files.opened(certificate, follow_links=True) as chain:
            path = key
            with regular_files.opened(key, follow_links=True) as secret:
                context.load_cert_chain(
                    f"/proc/self/fd/{chain}", f"/proc/self/fd/{secret}", _refuse_passphrase
                )
    except _EncryptedKeyError as error:
        raise CertificateError(
            f"the key {key} is encrypted",
            fix="remove the passphrase: openssl pkey -in OLD -out NEW",
        ) from error
    except ssl.SSLError as error:
        if error.reason == MISMATCH:
            raise CertificateError(
                f"the key {key} does not belong to the certificate {certificate}",
                fix="name a certificate and its own key",
            ) from error
        raise CertificateError(
            f"{certificate} and {key} are not a certificate and a key that can be used",
            fix=f"openssl x509 -in {certificate} and openssl pkey -in {key} -noout say why",
        ) from error
    except OSError as error:
        refuse_file(path, error)


def refuse_file(path: Path, error: OSError) -> NoReturn:
    """Raise the error for a PEM file that cannot be read."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            raise CertificateError(
                f"there is no file {path}", fix="write it, or correct its name"
            ) from error
        case IrregularFileError():
            raise CertificateError(
                f"{path} cannot be used: {error.strerror}", fix="name a PEM file"
            ) from error
        case _:
            reason = (error.strerror or str(error)).lower()
            raise CertificateError(
                f"{path} cannot be read: {reason}", fix="let the user of gatecert read it"
            ) from error


def _refuse_passphrase() -> bytes:
    """Keep OpenSSL from asking for a passphrase on the terminal."""
    raise _EncryptedKeyError
