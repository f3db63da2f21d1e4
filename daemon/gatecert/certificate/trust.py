"""The roots that this machine trusts: the only module below ``certificate`` that reads files.

OpenSSL's default places (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are heeded) are read when they are
first asked for, and again after an update of the trust store, since the daemon outlives many.
"""

from __future__ import annotations

import logging
import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.certificate.pem import find_readable
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

logger = logging.getLogger(__name__)

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # what OpenSSL reads in such a directory
_Stamp = tuple[int, int, int]


def system_roots() -> tuple[Certificate, ...]:
    """Every certificate in the machine's trust store that can be read, without repetition.

    A missing or unreadable trust store is an empty one: it decides on nothing but a note.
    """
    paths = ssl.get_default_verify_paths()
    bundle = Path(paths.cafile) if paths.cafile else None
    directory = Path(paths.capath) if paths.capath else None
    return read_roots(bundle, directory)


def read_roots(bundle: Path | None, directory: Path | None) -> tuple[Certificate, ...]:
    """The certificates of one bundle and one hashed directory, remembered until either changes."""
    return _read(bundle, _stamp(bundle), directory, _stamp(directory))


@lru_cache(maxsize=1)
def _read(
    bundle: Path | None, _bundle_stamp: _Stamp, directory: Path | None, _directory_stamp: _Stamp
) -> tuple[Certificate, ...]:
    """Read both; the stamps only make the cache notice a change."""
    return find_readable(_texts(bundle, directory))


def _texts(bundle: Path | None, directory: Path | None) -> Iterator[bytes]:
    """The contents of all files that can be read: the bundle, then the directory's."""
    for path in ([bundle] if bundle else []) + _hashed_files(directory):
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
