"""Certificate files of administrators: PEM certificates, or an error that names the format. Pure.

The text that OpenSSL writes around certificates is skipped. A private key is searched for first and
in every format: a CA never returns one. No message reveals any contents.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from gatecert.certificate import formats
from gatecert.certificate.pem import LARGEST_CHAIN, split_pem
from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PRIVATE_KEY = re.compile(r"PRIVATE KEY-----|PuTTY-User-Key-File-|BEGIN SSH2 ENCRYPTED PRIVATE")
_JSON_WEB_KEY = re.compile(r"\"d\"\s*:")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as given on the command line.

    Attributes:
        role: Its purpose, for messages: ``the certificate file``.
        name: Its path; empty for standard input.
        contents: Never shown, never logged.
        key_advice: The reason why a private key does not belong in it.
    """

    role: str
    name: str
    contents: bytes = field(repr=False)
    key_advice: str = (
        "the gateway has a key of its own, and a key that was passed around is not secret"
    )

    def certificates(self) -> list[Certificate]:
        """Return the certificates in it, in their order; at least one.

        Raises:
            CertificateError: It is something else; says what, and how to convert it to PEM.
        """
        if len(self.contents) > LARGEST_CHAIN:
            raise self._refusal(
                f"is larger than {LARGEST_CHAIN} bytes: refused",
                "give only the certificate and those of its issuers",
            )
        if _holds_private_key(self.contents):
            raise self._refusal(
                "contains a private key: refused, and nothing of it is kept",
                "give certificates only, as openssl x509 -in {file} -out {new} writes them;"
                f" {self.key_advice}",
            )
        known = formats.recognize(self.contents)
        if known is not None:
            raise self._refusal(f"is {known.what}: only PEM certificates are accepted", known.fix)
        try:
            return split_pem(self.contents, comments=True)
        except CertificateError as error:
            raise CertificateError(f"{self._called}: {error.message}", fix=error.fix) from error

    @property
    def _called(self) -> str:
        return f"{self.role} {clean(self.name, 200)}" if self.name else self.role

    def _refusal(self, what: str, fix: str) -> CertificateError:
        file = shlex.quote(clean(self.name, 200)) if self.name else "FILE"
        fix = fix.replace("{file}", file).replace("{new}", "NEW.pem")
        return CertificateError(f"{self._called} {what}", fix=fix)


def _holds_private_key(contents: bytes) -> bool:
    """Check for a private key anywhere, in any recognisable format."""
    text = formats.as_text(contents)
    if _PRIVATE_KEY.search(text) or ('"kty"' in text and _JSON_WEB_KEY.search(text)):
        return True
    ders = [contents, formats.from_base64(text), *(der for _, der in formats.blocks(text))]
    return any(_is_private_key(der) for der in ders)


def _is_private_key(der: bytes) -> bool:
    """Check for a private key in DER, encrypted or not."""
    if not der.startswith(formats.DER_SEQUENCE):
        return False
    try:
        serialization.load_der_private_key(der, password=None)
    except TypeError:
        return True  # encrypted
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
