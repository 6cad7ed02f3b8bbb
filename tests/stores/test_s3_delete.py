"""Deleting from buckets that keep old versions, and from servers that answer a bulk deletion with "not found"."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from stores.conformance_steps import listed, put
from stores.errors import ObjectNotFound, StoreAccessDenied, StoreMisconfigured
from stores.protocol import Hidden
from stores.s3 import S3Store


async def set_versioning(store: S3Store, status: str) -> None:
    bucket = store._opened()
    await bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": status})


def refuse(monkeypatch: pytest.MonkeyPatch, store: S3Store, operation: str, code: str, status: int) -> None:
    """The server answers so to this operation."""

    async def answer(**_: object) -> Any:
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[typeddict-item]  # what botocore leaves out

    monkeypatch.setattr(store._opened().client, operation, answer)


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
async def test_h15_a_bucket_with_versioning_says_that_it_hides_what_is_deleted(signed_store: S3Store, status: str) -> None:
    await set_versioning(signed_store, "Enabled")
    for key in ("a", "b"):
        await put(signed_store, key, b"abc")
    await set_versioning(signed_store, status)
    for _ in range(2):  # the answer to the first may have been lost
        assert await signed_store.delete(["a", "b"]) == {"a": Hidden(), "b": Hidden()}
    assert await listed(signed_store) == []
    with pytest.raises(ObjectNotFound):
        await signed_store.head("a")
    with pytest.raises(ObjectNotFound):
        _ = [piece async for piece in signed_store.read("a")]


@pytest.mark.parametrize(("code", "status"), [("404", 404), ("NotImplemented", 501), ("MethodNotAllowed", 405)])
async def test_h07_a_server_without_bulk_deletion_is_asked_for_each_key(
    signed_store: S3Store, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    await put(signed_store, "a", b"abc")
    refuse(monkeypatch, signed_store, "delete_objects", code, status)
    assert await signed_store.delete(["a", "never/there"]) == {"a": None, "never/there": None}
    assert await listed(signed_store) == []
    await set_versioning(signed_store, "Enabled")
    await put(signed_store, "b", b"abc")
    assert await signed_store.delete(["b"]) == {"b": Hidden()}
    refuse(monkeypatch, signed_store, "delete_object", "NoSuchKey", 404)
    assert await signed_store.delete(["c"]) == {"c": None}
    refuse(monkeypatch, signed_store, "delete_object", "AccessDenied", 403)
    assert isinstance((await signed_store.delete(["c"]))["c"], StoreAccessDenied)


async def test_h09_a_server_that_answers_not_found_to_everything_has_deleted_nothing(
    signed_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for operation in ("delete_objects", "delete_object", "head_object", "head_bucket"):
        refuse(monkeypatch, signed_store, operation, "404", 404)
    assert isinstance((await signed_store.delete(["a"]))["a"], StoreMisconfigured)
