"""JWS signatures of ACME requests, on ``josepy`` (RFC 8555 section 6.2).

The account's key signs, and the account URL identifies it (``kid``). Without an account, the key
itself is in the header (``jwk``): for newAccount, a revocation by the certificate's own key, and
the inner message of a key change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.b64 import b64decode, b64encode
from josepy.jwa import ES256, ES384, ES512, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA

from gatecert.errors import AuthorityError, clean


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key, and the URL of its account if it has one."""

    key: JWK = field(repr=False)
    account_url: str | None = None

    def sign(self, payload: bytes, nonce: str, url: str) -> bytes:
        """Sign a payload for one URL and one nonce."""
        return self._sign(payload, {"nonce": nonce, "url": url})

    def sign_inner(self, payload: bytes, url: str) -> bytes:
        """Sign the inner JWS of a key change, which has no nonce (section 7.3.5)."""
        return self._sign(payload, {"url": url})

    def _sign(self, payload: bytes, header: dict[str, object]) -> bytes:
        """Make a flattened JWS (RFC 7515 section 7.2.2).

        The library's classes would encode and check each part several times.
        """
        algorithm = _algorithm(self.key)
        if self.account_url is not None:
            header["kid"] = self.account_url
        else:
            header["jwk"] = self.key.public_key().to_json()
        protected = b64encode(json.dumps({"alg": algorithm.name, **header}).encode("ascii"))
        text = b64encode(payload)
        signature = algorithm.sign(self.key.key, protected + b"." + text)
        parts = {"protected": protected, "payload": text, "signature": b64encode(signature)}
        return json.dumps({name: part.decode("ascii") for name, part in parts.items()}).encode()


def key_change(account_url: str, old_key: bytes, new_key: bytes, url: str) -> bytes:
    """Make the message of a key change.

    Args:
        account_url: The account.
        old_key: Its key, PEM.
        new_key: The new key, PEM, which signs.
        url: The URL of the request.
    """
    old = load_key(old_key).public_key().to_json()
    payload = json.dumps({"account": account_url, "oldKey": old}).encode("ascii")
    return Signer(load_key(new_key)).sign_inner(payload, url)


def is_nonce(text: str) -> bool:
    """Check for base64url text without padding (RFC 8555 section 6.5.1)."""
    try:
        return bool(text) and b64encode(b64decode(text)).decode() == text
    except (ValueError, TypeError):
        return False


@lru_cache(maxsize=16)  # every request of an order needs the account's
def load_key(private_key: bytes) -> JWK:
    """Load a key; ``JWK.load`` takes anything that it cannot read for an HMAC secret."""
    try:
        key = serialization.load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthorityError(
            "the account key cannot be read", fix="restore accounts/<authority>/key.pem"
        ) from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return JWKEC(key=key)
    if isinstance(key, rsa.RSAPrivateKey):
        return JWKRSA(key=key)
    raise AuthorityError(
        "the account key is neither ECDSA nor RSA", fix="restore accounts/<authority>/key.pem"
    )


def pem_of_jwk(text: str, name: str) -> bytes:
    """Convert an account key from JWK (RFC 7517) to PEM, PKCS #8.

    Args:
        text: The private key in JSON.
        name: The file, for messages, which never repeat its content.

    Raises:
        AuthorityError: It is no private key with which requests can be signed.
    """
    try:
        key = getattr(JWK.from_json(json.loads(text)), "key", None)
    except Exception:  # noqa: BLE001 - josepy's errors have no common base and show the key
        raise AuthorityError(f"{clean(name)} is no usable account key (JWK)") from None
    key = getattr(key, "_wrapped", key)  # of josepy
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise AuthorityError(f"{clean(name)} is no private RSA or ECDSA key")
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _algorithm(key: JWK) -> JWASignature:
    """Return the signature algorithm of a key (RFC 7518 section 3.1)."""
    if isinstance(key, JWKRSA):
        return RS256
    return {"secp384r1": ES384, "secp521r1": ES512}.get(key.key.curve.name, ES256)
