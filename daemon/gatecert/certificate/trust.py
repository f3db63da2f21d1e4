"""The roots that this machine trusts: the only module below ``certificate`` that reads files.

OpenSSL's default places (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are heeded) are read when they are
first asked for, and again after an update of the trust store, since the daemon outlives many.
"""

from __future__ import annotations

import logging
import re
import ssl
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.certificate.certificate_names import identifiers_of, name_text
from gatecert.certificate.certification_path import PathFinder
from gatecert.certificate.comparison import Trust
from gatecert.certificate.pem import find_readable, split_pem
from gatecert.certificate.rules import ValidationTime
from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cryptography.x509 import Certificate

logger = logging.getLogger(__name__)

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # what OpenSSL reads in such a directory
_Stamp = tuple[int, int, int]


def system_roots() -> tuple[Certificate, ...]:
    """Every certificate in the machine's trust store that can be read, without repetition.

    A missing or unreadable trust store is an empty one.
    """
    return expected_roots()


def expected_roots(files: Iterable[Path] = ()) -> tuple[Certificate, ...]:
    """The roots that this machine trusts, and those of further files.

    Args:
        files: PEM files, ``trusted_roots`` above all; one that cannot be read has no roots.
    """
    paths = ssl.get_default_verify_paths()
    bundles = [Path(paths.cafile)] if paths.cafile else []
    return read_roots((*bundles, *files), Path(paths.capath) if paths.capath else None)


def read_roots(bundles: Iterable[Path], directory: Path | None) -> tuple[Certificate, ...]:
    """The certificates of bundles and one hashed directory, remembered until one of them changes.

    The same tuple is returned until then.
    """
    stamps = tuple((bundle, _stamp(bundle)) for bundle in bundles)
    return _read(stamps, directory, _stamp(directory))


def trust_of(
    certificate: bytes, chain: bytes, roots: tuple[Certificate, ...], *, now: datetime
) -> Trust:
    """Say where the chain of a certificate leads; looked at once a day and for each set of roots.

    Args:
        certificate: The gateway's certificate, PEM.
        chain: Its intermediates, PEM; may be empty.
        roots: What is trusted, as `read_roots` returned it.
        now: Aware UTC.
    """
    return _trust_of(certificate, chain, _Roots(roots), now.date())


class _Roots:
    """Trusted certificates as a key of a cache: equal where they are the same tuple."""

    __slots__ = ("certificates",)

    def __init__(self, certificates: tuple[Certificate, ...]) -> None:
        self.certificates = certificates

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Roots) and self.certificates is other.certificates

    def __hash__(self) -> int:
        return id(self.certificates)


@lru_cache(maxsize=4096)
def _trust_of(certificate: bytes, chain: bytes, roots: _Roots, today: date) -> Trust:
    leaf = split_pem(certificate)[0]
    others = split_pem(chain) if chain.strip() else []
    last = others[-1] if others else leaf
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    within = min(max(midnight, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    names = identifiers_of(leaf)
    if not names:
        return Trust(root=name_text(last.issuer), whole=False)
    finder = PathFinder(
        leaf, others, roots.certificates, names[0], ValidationTime(within, timedelta(0))
    )
    try:
        path = finder.find(trust_required=False)
    except CertificateError:  # the issuer of a certificate without intermediates is a root
        return Trust(root=name_text(last.issuer), whole=not others)
    return Trust(path.trusted, name_text(path.certificates[-1].issuer))


@lru_cache(maxsize=16)
def _read(
    bundles: tuple[tuple[Path, _Stamp], ...], directory: Path | None, _directory_stamp: _Stamp
) -> tuple[Certificate, ...]:
    """Read them all; the stamps only make the cache notice a change."""
    return find_readable(_texts([bundle for bundle, _ in bundles], directory))


def _texts(bundles: list[Path], directory: Path | None) -> Iterator[bytes]:
    """The contents of all files that can be read: the bundles, then the directory's."""
    for path in bundles + _hashed_files(directory):
        try:
            yield path.read_bytes()
        except OSError as error:
            logger.warning("event=trust-store-unreadable error=%s", clean(str(error)))


def _hashed_files(directory: Path | None) -> list[Path]:
    """The files of a hashed directory, in a stable order."""
    try:
        entries = sorted(directory.iterdir()) if directory else []
    except OSError as error:
        logger.warning("event=trust-store-unreadable error=%s", clean(str(error)))
        return []
    return [entry for entry in entries if _HASHED_NAME.fullmatch(entry.name)]


def _stamp(path: Path | None) -> _Stamp:
    """Changes whenever a file or the entries of a directory do."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else (0, 0, 0)
