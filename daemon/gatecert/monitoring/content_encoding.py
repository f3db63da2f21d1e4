"""Compression of responses with gzip (RFC 9110 section 8.4.1.3).

A body of up to `LARGEST_KEPT` bytes is compressed once for as long as it is the same object, since
browsers ask for the same page again. A larger one is compressed part by part while it is sent.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLEST: Final = 1024  # bytes; less fits one packet
LARGEST_KEPT: Final = 2 << 20  # bytes
PART: Final = 64 << 10  # bytes
LEVEL_KEPT: Final = 4  # a page of 1 MB in 25 ms to a tenth
LEVEL_OF_PARTS: Final = 1  # 10 MB of metrics in half the time that level 4 takes
_GZIP: Final = 31  # window bits: 32 kB, with the header and the sum of gzip


_NEVER: Final = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client decompresses gzip (RFC 9110 section 12.5.3)."""
    accepted: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, *parameters = (each.strip() for each in item.split(";"))
        accepted[coding] = not any(each in _NEVER for each in parameters)
    return accepted.get("gzip", accepted.get("*", False))


class Compression:
    """Compresses bodies, and keeps the last small one."""

    def __init__(self) -> None:
        self._kept: tuple[bytes, bytes] | None = None

    def whole(self, body: bytes) -> bytes | None:
        """Return a body compressed; None if it has to be compressed in parts."""
        if len(body) > LARGEST_KEPT:
            return None
        if self._kept is None or self._kept[0] is not body:
            self._kept = (body, b"".join(compressed(body, LEVEL_KEPT)))
        return self._kept[1]


def parts(body: bytes) -> Iterator[memoryview]:
    """Yield a body in parts, without a copy."""
    whole = memoryview(body)
    for start in range(0, len(whole), PART):
        yield whole[start : start + PART]


def compressed(body: bytes, level: int = LEVEL_OF_PARTS) -> Iterator[bytes]:
    """Yield a body compressed, in parts."""
    compressor = zlib.compressobj(level, wbits=_GZIP)
    for part in parts(body):
        if data := compressor.compress(part):
            yield data
    yield compressor.flush()
