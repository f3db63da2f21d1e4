"""A cheap look at PEM (RFC 7468): is it there at all, and whole?

Whether key and certificate are sound is for ``certificate.chain``; here it is only told whether a
crash or a hand has left something that is certainly not one.
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
    """Whether there are one or more certificates, each with its beginning and end."""
    return 0 < data.count(_BEGINNING) == len(_CERTIFICATE.findall(data))


def has_private_key(data: bytes) -> bool:
    """Whether there is a private key with its beginning and end."""
    return _PRIVATE_KEY.search(data) is not None


def has_request(data: bytes) -> bool:
    """Whether there is a certificate signing request with its beginning and end."""
    return _REQUEST.search(data) is not None


def joined(*parts: bytes) -> bytes:
    """PEM texts one after the other, each ending with one newline; empty ones are left out."""
    return b"".join(stripped + b"\n" for part in parts if (stripped := part.strip()))
