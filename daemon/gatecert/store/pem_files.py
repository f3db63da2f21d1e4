"""A quick check of PEM files (RFC 7468) for missing or truncated contents.

It finds what a crash or a manual change has left behind. ``certificate.chain`` checks keys and
certificates themselves.
"""

from __future__ import annotations

import re

_BEGINNING = b"-----BEGIN CERTIFICATE-----"
_BODY = rb"-----[A-Za-z0-9+/=\s]+-----END "
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE" + _BODY + rb"CERTIFICATE-----")
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?P<label>(?:[A-Z]+ )?PRIVATE KEY)" + _BODY + rb"(?P=label)-----"
)
_REQUEST = re.compile(
    rb"-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)" + _BODY + rb"(?P=label)-----"
)


def has_certificates(data: bytes) -> bool:
    """Check for one or more complete certificates."""
    return 0 < data.count(_BEGINNING) == len(_CERTIFICATE.findall(data))


def has_private_key(data: bytes) -> bool:
    """Check for a complete private key."""
    return _PRIVATE_KEY.search(data) is not None


def has_request(data: bytes) -> bool:
    """Check for a complete certificate signing request."""
    return _REQUEST.search(data) is not None


def joined(*parts: bytes) -> bytes:
    """Join PEM texts, each with one final newline; skip empty ones."""
    return b"".join(stripped + b"\n" for part in parts if (stripped := part.strip()))
