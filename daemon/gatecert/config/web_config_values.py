"""Syntax of the values in a web configuration (`config.web_config`)."""

from __future__ import annotations

import re
from typing import Final

from gatecert.config.values import BadValueError, quoted, switch, text

NO_CLIENTS: Final = "NoClientCert"
IF_GIVEN: Final = "VerifyClientCertIfGiven"
REQUIRED: Final = "RequireAndVerifyClientCert"
UNVERIFIED: Final = {"RequestClientCert", "RequireAnyClientCert"}
VERSIONS: Final = ("TLS12", "TLS13")
OLD_VERSIONS: Final = {"TLS10", "TLS11"}
CLIENT_AUTH_TYPES: Final = (NO_CLIENTS, IF_GIVEN, REQUIRED)
LEAST_COST: Final = 4  # the least that bcrypt has
HIGHEST_COST: Final = 14  # about a second; each further one takes twice as long
HOW_TO_HASH: Final = "write the bcrypt hash that `htpasswd -nBC 10 NAME` prints after the colon"
BCRYPT: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
HEADER_VALUES: Final = {
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
}


def client_auth_type(value: object) -> str:
    """Parse how client certificates are asked for, in the words of Go's crypto/tls."""
    written = text(value)
    if written in UNVERIFIED:
        what = f"does not verify client certificates; write {REQUIRED}"
        raise BadValueError(f"{written} {what}")
    if written not in CLIENT_AUTH_TYPES:
        words = ", ".join(CLIENT_AUTH_TYPES)
        raise BadValueError(f"{quoted(written)} is not supported; write one of {words}")
    return written


def minimum_version(value: object) -> str:
    """Parse a version of TLS."""
    written = text(value)
    if written not in VERSIONS:
        why = "is broken (RFC 8996)" if written in OLD_VERSIONS else "is not a version"
        raise BadValueError(f"{quoted(written)} {why}; write {' or '.join(VERSIONS)}")
    return written


def no_http2(value: object) -> str:
    """Accept only that HTTP/2 is off; return nothing."""
    if switch(value):
        raise BadValueError("is not supported; write false, or leave it out: HTTP/1.1 suffices")
    return ""


def header_value(name: str, value: object) -> str:
    """Parse the value of a header, which is one line of ASCII."""
    written = text(value)
    allowed = HEADER_VALUES.get(name)
    if not written.isascii() or (allowed and written.lower() not in allowed):
        words = " or ".join(allowed or ("ASCII text",))
        raise BadValueError(f"{quoted(written)} is not allowed; write {words}")
    return written


def bcrypt_hash(value: object) -> str:
    """Parse a bcrypt hash. The value is not repeated: it may be the password itself."""
    found = BCRYPT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise BadValueError(f"is not a bcrypt hash; {HOW_TO_HASH}")
    if not LEAST_COST <= int(found[1]) <= HIGHEST_COST:
        what = f"has the cost {int(found[1])}, and each check would take long"
        if int(found[1]) < LEAST_COST:
            what = f"has the cost {int(found[1])}, which bcrypt does not have"
        raise BadValueError(f"{what}; {HOW_TO_HASH}")
    return found[0]
