"""What an administrator hands in: certificates in PEM, or a refusal that says what it is. Pure.

The text that OpenSSL writes around certificates is skipped. A private key is looked for before
anything else, and wherever it may hide: it has no business in what an authority sends back. No
message repeats anything of the contents.
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
    """One file as it was handed in.

    Attributes:
        role: What it is to be, for messages: ``the certificate file``.
        name: As given on the command line; empty for standard input.
        contents: Never shown, never logged.
        why_no_key: Why no private key belongs into it, for the refusal.
    """

    role: str
    name: str
    contents: bytes = field(repr=False)
    why_no_key: str = (
        "the gateway made a key of its own, and one that was passed around is no secret"
    )

    def certificates(self) -> list[Certificate]:
        """The certificates in it, in their order; at least one.

        Raises:
            CertificateError: It is something else; says what, and how to make PEM of it.
        """
        if len(self.contents) > LARGEST_CHAIN:
            raise self._refusal(
                f"is larger than {LARGEST_CHAIN} bytes: it is not looked at",
                "give only the certificate and those of its issuers",
            )
        if _holds_private_key(self.contents):
            raise self._refusal(
                "contains a private key: it is refused, and nothing of it is kept",
                "give certificates only, as openssl x509 -in {file} -out {new} writes them;"
                f" {self.why_no_key}",
            )
        known = formats.recognize(self.contents)
        if known is not None:
            raise self._refusal(f"is {known.what}: only certificates in PEM are taken", known.fix)
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
    """Whether there is a private key anywhere, in any form that can be told."""
    text = formats.as_text(contents)
    if _PRIVATE_KEY.search(text) or ('"kty"' in text and _JSON_WEB_KEY.search(text)):
        return True
    ders = [contents, formats.from_base64(text), *(der for _, der in formats.blocks(text))]
    return any(_is_private_key(der) for der in ders)


def _is_private_key(der: bytes) -> bool:
    """Whether this is a private key in DER, encrypted or not."""
    if not der.startswith(formats.DER_SEQUENCE):
        return False
    try:
        serialization.load_der_private_key(der, password=None)
    except TypeError:
        return True  # it wants a password
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
