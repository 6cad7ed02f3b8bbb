"""Keys of an outside service that answers nonsense, or not at all."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mediastore.accounts import jwks
from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable
from mediastore.accounts.issuers import load_issuers
from mediastore.accounts.jwks import KeySet, KeyUrl

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize("answer", [[], None, "away", {}, {"keys": 1}, {"keys": [1]}])
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


async def test_nobody_waits_for_ever_and_who_has_a_key_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"keys": [{**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "old", "use": "sig"}]}
    silence = threading.Event()
    fetched = 0

    def silent(_: KeySet) -> object:
        nonlocal fetched
        fetched += 1
        silence.wait(60)
        return answer

    monkeypatch.setattr(KeySet, "_fetch", lambda _: answer)
    keys = KeySet("http://issuer.example/jwks.json")
    await keys.key("old")
    monkeypatch.setattr(KeySet, "_fetch", silent)
    for name in ("FRESH_S", "PAUSE_S"):
        monkeypatch.setattr(jwks, name, -1)
    monkeypatch.setattr(jwks, "PATIENCE_S", 0.1)
    try:
        await asyncio.gather(*(keys.key("old") for _ in range(5)))
        assert fetched == 1
        with pytest.raises(IssuerUnavailable):
            await asyncio.wait_for(keys.key("new"), 30)
        monkeypatch.setattr(jwks, "PATIENCE_S", 3600)
        await asyncio.wait_for(keys.key("old"), 30)
        await asyncio.wait_for(keys.key("old"), 30)
    finally:
        silence.set()


def published(kind: Any, key: Any, **more: str) -> dict[str, Any]:
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": "one", **more}


async def read(folder: Path, algorithms: list[str], token: str) -> str:
    """The name in this token, by an issuer that signs by these algorithms."""
    hub = {
        "name": "hub",
        "audience": None,
        "lasting": True,
        "default_role": "reader",
        "jwks_url": "http://issuer.example/jwks.json",
    }
    (folder / "issuers.json").write_text(json.dumps({"issuers": [{**hub, "algorithms": algorithms}]}))
    issuer = load_issuers(folder / "issuers.json").of(token)
    assert issuer is not None
    return (await issuer.read(token)).name


@pytest.mark.parametrize(
    ("kind", "key", "algorithm"),
    [(RSAAlgorithm, RSA, "RS256"), (RSAAlgorithm, RSA, "RS512"), (RSAAlgorithm, RSA, "PS256"), (ECAlgorithm, EC, "ES384")],
)
async def test_a_key_that_names_no_algorithm_is_for_those_that_are_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Any, key: Any, algorithm: str
) -> None:
    """RFC 7517, section 4.4: `alg` is optional."""
    monkeypatch.setattr(KeySet, "_fetch", lambda _: {"keys": [published(kind, key)]})
    token = jwt.encode({"sub": "ann"}, key, algorithm=algorithm, headers={"kid": "one"})
    assert await read(tmp_path, [algorithm], token) == "ann"


SECRET = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "one"}


@pytest.mark.parametrize(
    "answer",
    [
        published(RSAAlgorithm, RSA, alg="RS256"),
        published(RSAAlgorithm, RSA, use="enc"),
        published(ECAlgorithm, EC),
        SECRET,
        {**SECRET, "alg": "HS256"},
    ],
    ids=["of another algorithm", "for encryption", "of another kind", "a secret", "a secret that says so"],
)
async def test_h14_a_key_verifies_nothing_but_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: dict[str, Any]
) -> None:
    monkeypatch.setattr(KeySet, "_fetch", lambda _: {"keys": [answer]})
    token = jwt.encode({"sub": "ann"}, RSA, algorithm="PS256", headers={"kid": "one"})
    with pytest.raises(CredentialsWrong):
        await read(tmp_path, ["RS256", "PS256"], token)
