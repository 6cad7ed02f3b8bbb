"""API keys of an outside service: exchanged once, kept for as long as their token, refused when they are, and never leaked."""

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediastore.accounts import exchange as module
from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable
from mediastore.accounts.exchange import KeyExchange
from mediastore.accounts.issuers import load_issuers
from mediastore.errors import SettingInvalid
from tests.accounts.iam import KEY, Iam, claims, signed
from tests.faults.harness import eventually


@pytest.fixture
def iam() -> Iterator[Iam]:
    iam = Iam()
    iam.keys = {"ann's key": "EDI-ann", "bob's key": "EDI-bob"}
    yield iam
    iam.close()


@pytest.fixture
def exchange(iam: Iam, tmp_path: Path) -> KeyExchange:
    found = load_issuers(iam.write_config(tmp_path)).exchange
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["json", "text"])
async def test_a_key_becomes_a_token_and_is_asked_about_once(iam: Iam, exchange: KeyExchange, kind: str) -> None:
    iam.answers = kind
    token = await exchange.token("ann's key")
    assert token.count(".") == 2
    assert await exchange.token("ann's key") == token
    assert await exchange.token("bob's key") != token
    assert iam.asked == ["ann's key", "bob's key"]


async def test_requests_at_the_same_moment_share_one_exchange(iam: Iam, exchange: KeyExchange) -> None:
    iam.pause.clear()
    waiting = [asyncio.create_task(exchange.token("ann's key")) for _ in range(50)]
    await asyncio.to_thread(eventually, lambda: iam.asked)
    waiting[0].cancel()
    iam.pause.set()
    tokens = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(tokens[0], asyncio.CancelledError), "one who leaves takes nobody along"
    assert len(set(tokens[1:])) == 1
    assert len(iam.asked) == 1


async def test_a_token_that_has_ended_is_exchanged_anew(iam: Iam, exchange: KeyExchange) -> None:
    iam.lives_s = 2
    await exchange.token("ann's key")
    await asyncio.to_thread(eventually, lambda: _ended(exchange))
    await exchange.token("ann's key")
    assert len(iam.asked) == 2


def _ended(exchange: KeyExchange) -> bool:
    [known] = exchange._remembered.values()
    return known.until <= module.monotonic()


async def test_a_key_that_is_refused_can_be_good_soon_after(
    iam: Iam, exchange: KeyExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with pytest.raises(CredentialsWrong):
            await exchange.token("new key")
    assert iam.asked == ["new key"], "nor is the service asked each time"
    iam.keys["new key"] = "EDI-new"
    monkeypatch.setattr(module, "monotonic", lambda clock=module.monotonic: clock() + module.REFUSED_S)
    assert await exchange.token("new key")


@pytest.mark.parametrize("kind", ["error", "redirect", "no token", "html", "hangs up"])
async def test_a_service_that_does_not_do_its_part_is_unavailable_and_that_is_not_remembered(
    iam: Iam, exchange: KeyExchange, kind: str
) -> None:
    iam.answers = kind
    with pytest.raises(IssuerUnavailable):
        await exchange.token("ann's key")
    iam.answers = "json"
    assert await exchange.token("ann's key")
    assert iam.asked == ["ann's key"] * 2, "a redirection is not followed"


async def test_nobody_waits_for_ever(iam: Iam, exchange: KeyExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    monkeypatch.setattr(module, "MOST_WAITING", 6)
    iam.pause.clear()
    asked = [asyncio.create_task(exchange.token(f"key {number}")) for number in range(10)]
    failed = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in failed] == [IssuerUnavailable] * 10
    assert len(iam.asked) <= module.AT_ONCE, "what was not sent yet is not sent later"
    iam.pause.set()
    assert await exchange.token("ann's key")


@pytest.mark.parametrize("key", ["", "x" * 1001])
async def test_what_can_not_be_a_key_is_not_sent(iam: Iam, exchange: KeyExchange, key: str) -> None:
    with pytest.raises(CredentialsWrong):
        await exchange.token(key)
    assert iam.asked == []


async def test_h14_keys_are_not_kept(exchange: KeyExchange) -> None:
    key = "ann's " + "key"
    await exchange.token(key)
    with pytest.raises(CredentialsWrong):
        await exchange.token("a key of nobody")
    gc.collect()
    kept = repr([vars(exchange), list(exchange._remembered.items()), list(exchange._asking.items())])
    assert "ann's key" not in kept
    assert "a key of nobody" not in kept


async def test_h14_a_token_that_is_not_good_is_none(iam: Iam, exchange: KeyExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (
        claims("EDI-eve", exp=1),
        claims("EDI-eve", iss="https://evil.example.org"),
        claims("EDI-eve", aud="another server"),
    ):
        monkeypatch.setattr(iam, "answer", lambda _, bad=bad: (200, signed(bad).encode()))
        with pytest.raises(CredentialsWrong):
            await exchange.token(f"a key {bad}")
    monkeypatch.setattr(iam, "answer", lambda _: (200, signed(claims("EDI-eve"), "x" * 32, "HS256").encode()))
    with pytest.raises(CredentialsWrong):
        await exchange.token("another key")


async def test_everybody_is_no_group(iam: Iam, tmp_path: Path) -> None:
    token = signed(claims("EDI-ann"))
    issuer = load_issuers(iam.write_config(tmp_path)).of(token)
    assert issuer is not None
    who = await issuer.read(token)
    assert (who.name, who.groups, who.role) == ("EDI-ann", ("EDI-group0001",), "editor")
    assert (who.full_name, who.email) == ("Ann Example", "ann@example.org")


async def test_h14_without_an_audience_a_token_for_somebody_else_is_refused(iam: Iam, tmp_path: Path) -> None:
    token = signed(claims("EDI-ann", aud="mediastore"), KEY)
    issuer = load_issuers(iam.write_config(tmp_path)).of(token)
    assert issuer is not None
    with pytest.raises(CredentialsWrong, match="not meant"):
        await issuer.read(token)


def test_one_issuer_alone_exchanges_keys(iam: Iam, tmp_path: Path) -> None:
    file = iam.write_config(tmp_path)
    [config] = json.loads(file.read_text())["issuers"]
    file.write_text(json.dumps({"issuers": [config, config | {"name": "other", "issuer": "other"}]}))
    with pytest.raises(SettingInvalid, match="key_url"):
        load_issuers(file)
    file.write_text(json.dumps({"issuers": [{name: value for name, value in config.items() if name != "audience"}]}))
    with pytest.raises(SettingInvalid, match="audience"):
        load_issuers(file)
