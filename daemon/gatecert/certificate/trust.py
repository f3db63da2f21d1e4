"""The roots that this machine trusts: the only module below ``certificate`` that reads files.

OpenSSL's default locations (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` apply) are read at first use,
and again after every update of the trust store, since the daemon outlives many.
"""

from __future__ import annotations

import logging
import re
import ssl
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert import regular_files
from gatecert.certificate.certificate_names import identifiers_of, name_text
from gatecert.certificate.certification_path import PathFinder
from gatecert.certificate.comparison import Trust
from gatecert.certificate.pem import find_readable, split_pem
from gatecert.certificate.rules import ValidationTime
from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cryptography.x509 import Certificate

logger = logging.getLogger(__name__)

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # the names that OpenSSL reads
_Stamp = tuple[int, int, int]


def load_trusted_roots(files: Iterable[Path] = ()) -> tuple[Certificate, ...]:
    """Return the roots that this machine trusts, and those of further files, each once.

    A missing or unreadable trust store counts as empty.

    Args:
        files: PEM files such as ``trusted_roots``; an unreadable one counts as empty.
    """
    paths = ssl.get_default_verify_paths()
    bundles = [Path(paths.cafile)] if paths.cafile else []
    return read_roots((*bundles, *files), Path(paths.capath) if paths.capath else None)


def read_roots(bundles: Iterable[Path], directory: Path | None) -> tuple[Certificate, ...]:
    """Read bundles and one hashed directory; cached until one of them changes.

    The same tuple is returned until then.
    """
    stamps = tuple((bundle, _stamp(bundle)) for bundle in bundles)
    return _read(stamps, directory, _stamp(directory))


def trust_of(
    certificate: bytes, chain: bytes, roots: tuple[Certificate, ...], *, now: datetime
) -> Trust:
    """Return the end of a certificate's chain; cached for a day and a set of roots.

    Args:
        certificate: The gateway's certificate, PEM.
        chain: Its intermediates, PEM; may be empty.
        roots: The trusted certificates, as `read_roots` returned them.
        now: Aware UTC.
    """
    return _trust_of(certificate, chain, _Roots(roots), now.date())


class _Roots:
    """Trusted certificates as a cache key: equal where they are the same tuple."""

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
    within = _valid_instant(leaf, others, roots.certificates, today)
    names = identifiers_of(leaf)
    if not names:
        return Trust(root=name_text(last.issuer), chain_complete=False)
    finder = PathFinder(
        leaf, others, roots.certificates, names[0], ValidationTime(within, timedelta(0))
    )
    try:
        path = finder.find(trust_required=False)
    except CertificateError:  # the issuer of a certificate without intermediates is a root
        return Trust(root=name_text(last.issuer), chain_complete=not others)
    return Trust(path.trusted, name_text(path.certificates[-1].issuer))


def _valid_instant(
    leaf: Certificate, others: Sequence[Certificate], roots: Iterable[Certificate], today: date
) -> datetime:
    """Return an instant of a day at which a whole chain is valid, if there is one.

    A CA that is a minute old issues certificates that begin before its own: CAs backdate them.
    """
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    tomorrow = midnight + timedelta(days=1)
    issuers = {leaf.issuer, *(each.issuer for each in others)}
    begins = [leaf.not_valid_before_utc]
    for each in (*others, *roots):
        begin = each.not_valid_before_utc
        if midnight < begin < tomorrow and each.subject in issuers:
            begins.append(begin)
    return min(max(midnight, *begins), leaf.not_valid_after_utc)


@lru_cache(maxsize=16)
def _read(
    bundles: tuple[tuple[Path, _Stamp], ...], directory: Path | None, _directory_stamp: _Stamp
) -> tuple[Certificate, ...]:
    """Read all certificates; the stamps invalidate the cache."""
    return find_readable(_texts([bundle for bundle, _ in bundles], directory))


def _texts(bundles: list[Path], directory: Path | None) -> Iterator[bytes]:
    """Yield the contents of all readable files: the bundles, then the directory's."""
    for path in bundles + _hashed_files(directory):
        try:
            yield regular_files.read(path)
        except OSError as error:
            logger.warning("event=trust-store-unreadable error=%s", clean(str(error)))


def _hashed_files(directory: Path | None) -> list[Path]:
    """Return the files of a hashed directory, in a stable order."""
    try:
        entries = sorted(directory.iterdir()) if directory else []
    except OSError as error:
        logger.warning("event=trust-store-unreadable error=%s", clean(str(error)))
        return []
    return [entry for entry in entries if _HASHED_NAME.fullmatch(entry.name)]


def _stamp(path: Path | None) -> _Stamp:
    """Return a value that changes with a file or the entries of a directory."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else (0, 0, 0)
