"""Keys of an outside service that answers nonsense."""

import pytest

from mediastore.accounts.errors import IssuerUnavailable
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
