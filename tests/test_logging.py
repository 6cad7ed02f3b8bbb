"""Logs hold no secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.logging import MASK, mask_secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLW9mLWl0"
KEY = "ms_" + "0123456789abcdef" * 2 + "_Abc-def_123"


def masked(**event: Any) -> dict[str, Any]:
    return dict(mask_secrets(None, "info", dict(event)))


@pytest.mark.parametrize(
    ("text", "secret", "left"),
    [
        (f"Bearer {JWT} refused", JWT, "Bearer *** refused"),
        (f"key {KEY}, again {KEY}", KEY, "key ***, again ***"),
        ("postgresql://me:hunter2@host/db", "hunter2", "@host/db"),
        ("postgresql://me:hunter2:more@host/db", "hunter2", "@host/db"),
        ("postgresql://:hunter2@host/db", "hunter2", "@host/db"),
        ("redis://hunter2@host", None, "redis://"),
        ("GET /x?token=hunter2&limit=1", "hunter2", "limit=1"),
        ("GET /x?limit=1&key=hunter2", "hunter2", "limit=1"),
        ("https://s3/b?X-Amz-Signature=hunter2&X-Amz-Date=1", "hunter2", "https://s3/b"),
        ("https://s3/b?X-Amz-Credential=AKIA%2Fhunter2&a=1", "hunter2", "a=1"),
        ("https://s3/b?AWSAccessKeyId=hunter2&Signature=hunter2", "hunter2", "https://s3/b"),
        (f"Traceback\n  token='{JWT}'\n", JWT, "Traceback"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str | None, left: str) -> None:
    told = masked(event=text)["event"]
    assert left in told
    if secret is not None:
        assert secret not in told
        assert MASK in told


@pytest.mark.parametrize(
    "text", ["a.b_c=d", "token of appreciation", "https://host:80/x@y", "ms_note", "k=v", "the key=value pair"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(event=text) == {"event": text}


def test_every_field_is_looked_into() -> None:
    assert JWT not in str(masked(event="x", cause=f"Error({JWT})", reason=f"{KEY}.", status=401))


@pytest.mark.parametrize(
    "value", [[JWT], {"token": JWT}, (JWT,), JWT.encode(), ValueError(JWT)], ids=["list", "dict", "tuple", "bytes", "error"]
)
def test_texts_inside_other_values_are_masked_too(value: object) -> None:
    assert JWT not in str(masked(event="x", value=value))


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers() | st.none(), max_size=4))
def test_masking_never_fails_and_twice_is_once(event: dict[str, Any]) -> None:
    once = mask_secrets(None, "info", dict(event))
    assert mask_secrets(None, "info", dict(once)) == once
