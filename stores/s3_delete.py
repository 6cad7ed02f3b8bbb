"""Deleting from a bucket: many keys in one request, and one by one where a server does not take that."""

import asyncio
from collections.abc import Mapping, Sequence

from stores.errors import FeatureMissing, ObjectNotFound, StoreError, StoreUnavailable
from stores.protocol import Deletion, Hidden
from stores.s3_bucket import S3Bucket
from stores.s3_errors import FOREIGN, from_code, from_exception, translated

_SINGLE_IN_FLIGHT = 16


async def delete(bucket: S3Bucket, keys: Sequence[str]) -> Mapping[str, Deletion]:
    """The answer for each of at most 1,000 keys. "Not found" of one says that it is gone; of the whole request, nothing."""
    answers: dict[str, Deletion] = {}
    full_names: dict[str, str] = {}
    for key in keys:
        try:
            full_names[bucket.request(key)["Key"]] = key
        except StoreError as error:
            answers[key] = error
    if not full_names:
        return answers
    try:
        try:
            return answers | await _delete_at_once(bucket, full_names)
        except (ObjectNotFound, FeatureMissing):
            # Who answers so to everything, the bucket itself included, is another server, and must not be believed of any key.
            await bucket.raise_if_missing()
            return answers | await _delete_singly(bucket, full_names)
    except StoreError as error:
        return answers | dict.fromkeys(full_names.values(), error)


async def _delete_at_once(bucket: S3Bucket, full_names: Mapping[str, str]) -> dict[str, Deletion]:
    """What the answer does not mention was not deleted as far as anyone knows."""
    objects = [{"Key": name} for name in full_names]
    with translated():
        answer = await bucket.client.delete_objects(Bucket=bucket.name, Delete={"Objects": objects, "Quiet": False})
    silence = StoreUnavailable("The store did not say whether it deleted the object")
    answers: dict[str, Deletion] = dict.fromkeys(full_names.values(), silence)
    for gone in answer.get("Deleted", ()):
        if gone["Key"] in full_names:
            answers[full_names[gone["Key"]]] = Hidden() if gone.get("DeleteMarker") else None
    for failed in answer.get("Errors", ()):
        if failed["Key"] in full_names:
            key = full_names[failed["Key"]]
            answers[key] = _unless_gone(from_code(failed.get("Code", ""), key=key))
    return answers


async def _delete_singly(bucket: S3Bucket, full_names: Mapping[str, str]) -> dict[str, Deletion]:
    """For servers that don't know bulk deletion, and behind gateways that let only other requests through."""
    turns = asyncio.Semaphore(_SINGLE_IN_FLIGHT)

    async def delete_one(name: str, key: str) -> Deletion:
        async with turns:
            try:
                answer = await bucket.client.delete_object(Bucket=bucket.name, Key=name)
            except FOREIGN as exc:
                return _unless_gone(from_exception(exc, key=key))
            return Hidden() if answer.get("DeleteMarker") else None

    answers = await asyncio.gather(*(delete_one(name, key) for name, key in full_names.items()))
    return dict(zip(full_names.values(), answers, strict=True))


def _unless_gone(error: StoreError) -> StoreError | None:
    return None if isinstance(error, ObjectNotFound) else error
