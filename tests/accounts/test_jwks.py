"""Keys of an outside service that answers nonsense."""

import pytest

from mediastore.accounts.errors import IssuerUnavailable
from mediastore.accounts.jwks import KeySet


@pytest.mark.parametrize("answer", [[], None, "away", {"keys": [1]}])
async def test_an_answer_that_is_no_set_of_keys_is_a_service_that_is_away(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(KeySet, "_fetch", lambda _: answer)
    with pytest.raises(IssuerUnavailable):
        await KeySet("http://issuer.example/jwks.json").key("one")
