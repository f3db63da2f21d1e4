"""Account keys in JWK, as certbot keeps them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwk import JWKEC, JWKRSA
from tests.fakes.keys import rsa_key

from gatecert.acme.signature import pem_of_jwk
from gatecert.certificate import key
from gatecert.errors import AuthorityError


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_private_key_becomes_pem(kind: str) -> None:
    private = rsa_key(2048, "account") if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    jwk = JWKRSA(key=private) if kind == "rsa" else JWKEC(key=private)

    pem = pem_of_jwk(jwk.json_dumps(), "private_key.json")

    assert key.to_pem(key.load(pem)) == pem
    assert key.fingerprint(key.load(pem).public_key()) == key.fingerprint(private.public_key())


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"kty": "oct", "k": "c2VjcmV0"}', '{"kty": "RSA", "n": "c2VjcmV0", "e": "AQAB"}'],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(AuthorityError) as raised:
        pem_of_jwk(text, "private_key.json")

    assert "private_key.json is no" in raised.value.message
    assert "c2VjcmV0" not in str(raised.value)
