"""What only a server that checks signatures and checksums can show; moto accepts any."""

import asyncio

import httpx
import msgspec
import pytest

from stores.config import S3Access
from stores.conformance import MIB
from stores.conformance_steps import get, put, some_bytes
from stores.errors import StoreAccessDenied
from stores.s3 import S3Store


async def test_a_presigned_url_gives_this_object_for_its_time_and_no_other(signed_store: S3Store) -> None:
    await put(signed_store, "folder/ü k?", b"a,b")
    await put(signed_store, "other", b"secret")
    url = await signed_store.presign_get("folder/ü k?", expires_s=60, filename="Größe\r\n.csv", media_type="text/csv")
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        assert (answer.status_code, answer.content) == (200, b"a,b")
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["content-disposition"] == "attachment; filename=\"Groe.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"
        assert (await client.get(url.replace("/p/folder/%C3%BC%20k%3F", "/p/other"))).status_code == 403
        assert (await client.get(url.replace("text%2Fcsv", "text%2Fhtml"))).status_code == 403
        assert (await client.delete(url)).status_code == 403
        short = await signed_store.presign_get("other", expires_s=1)
        for _ in range(50):
            if (expired := (await client.get(short)).status_code) == 403:
                break
            await asyncio.sleep(0.1)
        assert expired == 403


async def test_objects_with_checksums_are_taken_whole(signed_store: S3Store) -> None:
    for size in (0, 10, 11 * MIB):
        await put(signed_store, f"k{size}", some_bytes(size))
        assert await get(signed_store, f"k{size}") == some_bytes(size)


async def test_h14_wrong_credentials_are_denied_without_telling_them(ministack: S3Access, signed_store: S3Store) -> None:
    stranger = S3Store(msgspec.structs.replace(ministack, access_key="nobody", secret_key="wrong-secret"), "some-bucket")
    with pytest.raises(StoreAccessDenied) as raised:
        await stranger.open()
    assert "wrong-secret" not in str(raised.value)
    assert "nobody" not in str(raised.value)
