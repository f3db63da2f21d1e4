"""A certificate with which gatecert authenticates to a server that demands one (mutual TLS)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gatecert.errors import CertificateError
from gatecert.http.key_pair import load_key_pair
from gatecert.trusted_files import trusted_users, weakness

if TYPE_CHECKING:
    import ssl

Stamp: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The files of a client certificate.

    Attributes:
        certificate: The certificate, with its chain if the server needs it (PEM).
        key: Its key (PEM).
    """

    certificate: Path
    key: Path

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a context present the certificate.

        Raises:
            CertificateError: The files cannot be used, or somebody else may change the key.
        """
        found = weakness(self.key, trusted_users())
        if found is not None:
            raise CertificateError(f"the key {self.key} {found}", fix=found.fix)
        load_key_pair(context, self.certificate, self.key)

    def stamp(self) -> Stamp:
        """Return what changes when one of the files does; empty for a missing file."""
        return tuple(map(_stamp, (self.certificate, self.key)))


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
