"""Keys for tests that need some key and not a new one: making an RSA key takes seconds."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def rsa_key(bits: int = 2048, name: str = "") -> rsa.RSAPrivateKey:
    """Return the same key for the same size and name as long as the process lives."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)
