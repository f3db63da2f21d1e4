from __future__ import annotations

import gzip

import pytest

from gatecert.monitoring.content_encoding import (
    LARGEST_KEPT,
    PART,
    Compression,
    accepts_gzip,
    compressed,
    parts,
)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, br", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("x-gzip", False),
        (";;,,=", False),
    ],
)
def test_gzip_is_sent_to_those_who_accept_it(header: str, accepted: bool) -> None:  # noqa: FBT001
    assert accepts_gzip(header) is accepted


def test_the_same_body_is_compressed_once() -> None:
    compression = Compression()
    body = b"<p>" * 10_000
    once = compression.whole(body)
    assert once is not None
    assert gzip.decompress(once) == body
    assert compression.whole(body) is once
    another = bytes(bytearray(body))
    assert compression.whole(another) is not once


def test_a_large_body_is_not_kept() -> None:
    assert Compression().whole(bytes(LARGEST_KEPT + 1)) is None


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART])
def test_parts_make_up_the_whole(size: int) -> None:
    body = b"a" * size
    assert b"".join(parts(body)) == body
    assert gzip.decompress(b"".join(compressed(body))) == body
    assert all(len(part) <= PART for part in parts(body))
