"""Keys of an outside service that answers nonsense, or not at all."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from mediastore.accounts import jwks
from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable
from mediastore.accounts.jwks import KeySet, KeyUrl


@pytest.mark.parametrize("answer", [[], None, "away", {"keys": [1]}])
async def test_an_answer_that_is_no_set_of_keys_is_a_service_that_is_away(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(KeySet, "_fetch", lambda _: answer)
    with pytest.raises(IssuerUnavailable):
        await KeySet("http://issuer.example/jwks.json").key("one")


@pytest.mark.parametrize("answer", [b"", b"away", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
async def test_an_answer_that_is_no_public_key_is_one_too(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(KeyUrl, "_fetch", lambda _: answer)
    with pytest.raises(IssuerUnavailable):
        await KeyUrl("http://issuer.example/key.pem").key(None)


async def test_while_it_is_away_nobody_is_told_that_their_key_is_none_of_its(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def away(_: KeySet) -> object:
        nonlocal asked
        asked += 1
        raise OSError("no route to host")

    monkeypatch.setattr(KeySet, "_fetch", away)
    keys = KeySet("http://issuer.example/jwks.json")
    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            await keys.key("one")
    assert asked == 1, "and between two questions there is a pause"


async def test_a_key_that_is_made_while_it_is_away_waits_and_older_ones_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    answer = {"keys": [{**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "old", "use": "sig"}]}
    monkeypatch.setattr(KeySet, "_fetch", lambda _: answer)
    keys = KeySet("http://issuer.example/jwks.json")
    await keys.key("old")
    with pytest.raises(CredentialsWrong):
        await keys.key("new")
    monkeypatch.setattr(jwks, "PAUSE_S", -1)
    monkeypatch.setattr(KeySet, "_fetch", lambda _: [])
    with pytest.raises(IssuerUnavailable):
        await keys.key("new")
    await keys.key("old")
