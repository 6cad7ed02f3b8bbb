"""Tokens, passwords, sealed secrets and the count of failures, without a server."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mediastore.accounts.errors import CredentialsWrong
from mediastore.accounts.passwords import Passwords
from mediastore.accounts.queries import Throttle
from mediastore.accounts.schemas import AccountName
from mediastore.accounts.secrets import Sealer, derive
from mediastore.accounts.throttle import FORGET_AFTER, LONGEST_WAIT_S, after_failure
from mediastore.accounts.tokens import Claims, Tokens
from mediastore.clock import utc_now
from mediastore.errors import SettingInvalid

SECRET = "a secret of many characters, for tests alone"
CLAIMS = Claims(sub="rita", cv=3, scopes=("read", "write"), key=uuid4())


def tokens(secret: str = SECRET, *, ttl_s: float = 60, ago: timedelta = timedelta()) -> Tokens:
    return Tokens(secret, ttl_s=ttl_s, clock=lambda: utc_now() - ago)


def forged(changed: dict[str, object] | None = None, *, signed_with: bytes | None = None, algorithm: str = "HS256") -> str:
    now = utc_now()
    body: dict[str, Any] = {"iss": "mediastore", "aud": "mediastore", "sub": "rita", "iat": now, "nbf": now, "cv": 1}
    body |= {"exp": now + timedelta(seconds=60), "scopes": ["read"], **(changed or {})}
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, signed_with or derive(SECRET, purpose="access tokens"), algorithm=algorithm)


def test_a_token_says_what_it_was_issued_for() -> None:
    issued = tokens().issue(CLAIMS)
    said = tokens().read(issued.access_token)
    assert structs.replace(said, iat=0) == CLAIMS
    assert abs(said.iat - time.time()) < 60
    assert issued.expires_in == 60
    assert tokens().read(forged()).sub == "rita"


def test_an_expired_token_is_refused() -> None:
    with pytest.raises(CredentialsWrong, match="expired"):
        tokens().read(tokens(ago=timedelta(seconds=61)).issue(CLAIMS).access_token)


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(tokens(SECRET + "!").issue(CLAIMS).access_token)


def test_a_token_without_signature_is_refused() -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(jwt.encode({"iss": "mediastore", "aud": "mediastore", "sub": "admin"}, "", algorithm="none"))
    head = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    body = forged().split(".")[1]
    for signature in ("", "x"):
        with pytest.raises(CredentialsWrong):
            tokens().read(f"{head}.{body}.{signature}")


def test_a_token_of_another_algorithm_is_refused() -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(forged(signed_with=derive(SECRET, purpose="access tokens") * 2, algorithm="HS512"))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "nbf", "exp", "cv", "scopes"])
def test_a_token_that_lacks_a_claim_is_refused(claim: str) -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(forged({claim: None}))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"nbf": utc_now() + timedelta(hours=1)},
        {"scopes": ["root"]},
        {"scopes": "read"},
        {"cv": "1x"},
        {"key": "no uuid"},
    ],
    ids=lambda changed: next(iter(changed)) + type(next(iter(changed.values()))).__name__,
)
def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(forged(changed))


@given(st.text(max_size=60))
def test_any_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(CredentialsWrong):
        tokens().read(text)


def test_a_token_that_was_changed_is_refused() -> None:
    head, body, signature = tokens().issue(CLAIMS).access_token.split(".")
    changed = urlsafe_b64decode(body + "==").replace(b'"rita"', b'"olga"')
    with pytest.raises(CredentialsWrong):
        tokens().read(f"{head}.{urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}")


def test_keys_of_two_purposes_differ() -> None:
    assert derive(SECRET, purpose="one") != derive(SECRET, purpose="other")
    assert len(derive(SECRET, purpose="one")) == 32


@given(st.text(max_size=200))
def test_a_sealed_secret_comes_back_and_does_not_show(secret: str) -> None:
    sealer = Sealer(SECRET)
    sealed = sealer.seal(secret)
    assert sealer.unseal(sealed) == secret
    if len(secret) > 3:
        assert secret.encode() not in sealed
    assert sealer.seal(secret) != sealed


def test_a_secret_under_another_key_says_which_setting_is_wrong() -> None:
    with pytest.raises(SettingInvalid, match="MEDIASTORE_SECRET_KEY") as caught:
        Sealer("another key").unseal(Sealer(SECRET).seal("hunter2"))
    assert "hunter2" not in caught.value.message


async def test_a_password_is_known_again_and_no_other() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert "correct horse" not in kept
    assert await passwords.hash("correct horse") != kept
    assert await passwords.check("correct horse", kept)
    assert not await passwords.check("correct horsf", kept)
    assert not await passwords.check("correct horse", None)
    assert not await passwords.check("decoy", None)
    assert not await passwords.check("", "no hash at all")


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def failing(times: int, *, allowed: int, every: timedelta = timedelta(seconds=1)) -> list[float]:
    """The waits after each of these failures."""
    throttle, now, waits = Throttle(failures=0, last_failure_at=NOW, blocked_until=NOW), NOW, []
    for _ in range(times):
        throttle = after_failure(throttle, allowed=allowed, now=now)
        waits.append((throttle.blocked_until - now).total_seconds())
        now += every
    return waits


def test_waits_begin_after_the_allowed_failures_and_double_up_to_a_quarter_of_an_hour() -> None:
    assert failing(8, allowed=5) == [0, 0, 0, 0, 4, 8, 16, 32]
    waits = failing(60, allowed=3)
    assert max(waits) == waits[-1] == LONGEST_WAIT_S
    assert waits == sorted(waits)


def test_after_a_quiet_time_counting_starts_afresh() -> None:
    assert failing(9, allowed=2, every=FORGET_AFTER + timedelta(seconds=1)) == [0] * 9


@pytest.mark.parametrize("name", ["a", "A.b_c@d+e-f", "x" * 63, "0"])
def test_names_that_accounts_can_have(name: str) -> None:
    assert msgspec.convert(name, AccountName) == name


@pytest.mark.parametrize("name", ["", "x" * 64, "a b", "group:a", "é", "a\n", "-a", ".a", "a/b", "a\x00", "a,b"])
def test_names_that_accounts_can_not_have(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, AccountName)
