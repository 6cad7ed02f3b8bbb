"""What clients send straight to S3, by a server that looks at signatures, checksums and policies."""

import asyncio
import base64
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import httpx
import msgspec
import pytest
from botocore.exceptions import ClientError

from stores.conformance_steps import MIB, get, listed, put, send, some_bytes
from stores.errors import DigestInvalid, FeatureMissing, KeyInvalid
from stores.protocol import SignedRequest
from stores.s3 import S3Options, S3Store
from stores.s3_bucket import S3Bucket

BODY = b"depth,temperature\n1,2\n"
OTHER = b"depth,temperature\n1,3\n"
TEXT = "text/csv"
DIGESTS: Mapping[str, str] = {
    "md5": hashlib.md5(BODY).hexdigest(),
    "sha1": hashlib.sha1(BODY).hexdigest(),
    "sha256": hashlib.sha256(BODY).hexdigest(),
    "sha512": hashlib.sha512(BODY).hexdigest(),
    "crc32c": f"{google_crc32c.value(BODY):08x}",
}


async def signed_put(store: S3Store, key: str = "k", *, expires_s: int = 60, **digests: str) -> SignedRequest:
    return await store.presign_put(key, expires_s=expires_s, size=len(BODY), media_type=TEXT, digests=digests)


async def signed_post(store: S3Store, key: str = "k", *, expires_s: int = 60, **digests: str) -> SignedRequest:
    return await store.presign_post(key, expires_s=expires_s, size=len(BODY), media_type=TEXT, digests=digests)


async def test_the_acl_of_a_form_is_pinned_too(signed_store: S3Store) -> None:
    facts: dict[str, Any] = {"expires_s": 60, "size": len(BODY), "media_type": TEXT}
    form = await signed_store.presign_post("k", **facts, acl="private")
    assert form.fields["acl"] == "private"
    await refuses(signed_store, changed(form, acl="public-read"), BODY, 403)
    await refuses(signed_store, changed(form, acl=None), BODY, 403)
    assert (await send(form, BODY)).status < 300
    assert "acl" not in (await signed_store.presign_post("k", **facts)).fields


def changed(request: SignedRequest, *, url: str | None = None, **values: str | None) -> SignedRequest:
    """The request with another URL, or other headers and fields (`_` for `-`); None leaves one out."""

    def change(pairs: Mapping[str, str]) -> dict[str, str]:
        wanted = {name.replace("_", "-").lower(): value for name, value in values.items()}
        return {
            name: value if (new := wanted.get(name.lower(), value)) is None else new
            for name, value in pairs.items()
            if wanted.get(name.lower(), value) is not None
        }

    return msgspec.structs.replace(
        request, url=url or request.url, headers=change(request.headers), fields=change(request.fields)
    )


async def refuses(store: S3Store, request: SignedRequest, body: bytes, status: int) -> None:
    answer = await send(request, body)
    assert answer.status == status, answer
    assert await listed(store) == []


async def expired(store: S3Store, request: SignedRequest, body: bytes) -> None:
    """Wait until the store refuses the request for its age. A body of another size makes nothing in the meantime."""
    longer = changed(request, content_length=str(len(body) + 1))
    async with asyncio.timeout(30):
        while b"expired" not in (await send(longer, body + b"x")).body.lower():  # noqa: ASYNC110 - its clock tells nobody
            await asyncio.sleep(0.1)
    await refuses(store, request, body, 403)


def by_urllib(request: SignedRequest, body: bytes, _: Path) -> int:
    asked = urllib.request.Request(request.url, data=body, headers=dict(request.headers), method=request.method)
    try:
        with urllib.request.urlopen(asked) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def by_httpx(request: SignedRequest, body: bytes, _: Path) -> int:
    if request.method == "PUT":
        return httpx.put(request.url, headers=dict(request.headers), content=body).status_code
    return httpx.post(request.url, data=dict(request.fields), files={"file": ("a.csv", body, TEXT)}).status_code


def by_curl(request: SignedRequest, body: bytes, folder: Path) -> int:
    (folder / "body").write_bytes(body)
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", request.method]
    for name, value in request.headers.items():
        command += ["-H", f"{name}: {value}"]
    for name, value in request.fields.items():
        command += ["--form-string", f"{name}={value}"]
    command += ["--data-binary", f"@{folder}/body"] if request.method == "PUT" else ["-F", f"file=@{folder}/body"]
    return int(subprocess.run([*command, request.url], stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("client", [by_urllib, by_httpx, by_curl])
@pytest.mark.parametrize("body", [b"", BODY], ids=["empty", "some"])
async def test_plain_clients_send_what_they_are_told_and_no_more(
    signed_store: S3Store, tmp_path: Path, client: Callable[[SignedRequest, bytes, Path], int], body: bytes
) -> None:
    if client is by_curl and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    digests = {"md5": hashlib.md5(body).hexdigest(), "sha256": hashlib.sha256(body).hexdigest()}
    for key, sign in (("ünï/put?", signed_store.presign_put), ("ünï/post", signed_store.presign_post)):
        if client is by_urllib and sign == signed_store.presign_post:
            continue  # it makes no forms
        request = await sign(key, expires_s=60, size=len(body), media_type=TEXT, digests=digests)
        assert await asyncio.to_thread(client, request, body, tmp_path) in {200, 204}
        assert await get(signed_store, key) == body
        assert (await signed_store.head(key)).media_type == TEXT
    upload_id = await signed_store.begin_multipart("parts", media_type=TEXT)
    request = await signed_store.presign_part("parts", upload_id, 1, size=len(body), expires_s=60, digests=digests)
    assert await asyncio.to_thread(client, request, body, tmp_path) == 200
    [part] = await signed_store.list_parts("parts", upload_id)
    await signed_store.complete_multipart("parts", upload_id, [(part.number, part.etag)])
    assert await get(signed_store, "parts") == body


async def test_a_put_without_a_size_is_for_its_key_and_its_time_alone(signed_store: S3Store) -> None:
    request = await signed_store.presign_put("landing", expires_s=60, size=None, media_type=TEXT)
    async with httpx.AsyncClient() as client:
        assert (await client.put(request.url, content=BODY)).status_code == 200
        assert (await client.put(request.url, content=OTHER, headers={"Content-Type": "x/y"})).status_code == 200
        assert (await client.put(request.url.replace("landing", "elsewhere"), content=BODY)).status_code == 403
        assert (await client.get(request.url)).status_code == 403
    assert await listed(signed_store) == ["landing"]
    assert await get(signed_store, "landing") == OTHER


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "crc32c"])
async def test_h05_other_bytes_of_the_same_size_are_refused(signed_store: S3Store, algorithm: str) -> None:
    request = await signed_put(signed_store, **{algorithm: DIGESTS[algorithm]})
    await refuses(signed_store, request, OTHER, 400)
    name = {"md5": "content_md5"}.get(algorithm, f"x_amz_checksum_{algorithm}")
    forged = base64.b64encode(google_crc32c.value(OTHER).to_bytes(4, "big")).decode()
    for value in (None, forged):
        await refuses(signed_store, changed(request, **{name: value}), OTHER, 403)
    assert (await send(request, BODY)).status == 200
    assert await get(signed_store, "k") == BODY


async def test_h13_other_sizes_types_keys_and_methods_are_refused(signed_store: S3Store) -> None:
    request = await signed_put(signed_store, "folder/k")
    for body in (BODY + b"x", BODY[:-1], b""):
        await refuses(signed_store, changed(request, content_length=str(len(body))), body, 403)
    for other in (
        changed(request, content_type="text/html"),
        changed(request, content_type=None),
        changed(request, if_none_match=None),
        changed(request, url=request.url.replace("/p/folder/k", "/p/other")),
        changed(request, url=request.url.replace("/p/folder/k", "/outside")),
        changed(request, url=request.url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
        msgspec.structs.replace(request, url=request.url + "&uploadId=x&partNumber=1"),
    ):
        await refuses(signed_store, other, BODY, 403)
    assert (await send(request, BODY)).status == 200


async def test_h02_a_put_after_its_time_is_refused(signed_store: S3Store) -> None:
    await expired(signed_store, await signed_put(signed_store, expires_s=1), BODY)


async def test_a_put_leads_to_one_object_and_never_to_a_second(signed_store: S3Store) -> None:
    request = await signed_put(signed_store)
    outcomes = await asyncio.gather(*(send(request, BODY) for _ in range(4)))
    assert sorted(answer.status for answer in outcomes) == [200, 412, 412, 412]
    assert (await send(request, OTHER)).status == 412
    assert await get(signed_store, "k") == BODY


async def test_at_most_one_checksum_is_signed_and_always_with_its_algorithm(signed_store: S3Store) -> None:
    everything = (await signed_put(signed_store, **DIGESTS)).headers
    assert everything == {
        "Content-Length": str(len(BODY)),
        "Content-Type": TEXT,
        "Content-MD5": base64.b64encode(hashlib.md5(BODY).digest()).decode(),
        "x-amz-sdk-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
        "If-None-Match": "*",
    }
    for known, left in ((("sha1", "crc32c"), "SHA1"), (("crc32c", "sha512"), "CRC32C"), (("sha512",), None)):
        headers = (await signed_put(signed_store, **{name: DIGESTS[name] for name in known})).headers
        assert headers.get("x-amz-sdk-checksum-algorithm") == left
    with pytest.raises(DigestInvalid):
        await signed_put(signed_store, md5=DIGESTS["md5"] + "-3")


async def test_h05_a_checksum_sent_with_one_put_is_attested_and_a_composite_one_never(signed_store: S3Store) -> None:
    for key, algorithm in (("a", "sha256"), ("b", "sha1"), ("c", "crc32c")):
        await send(await signed_put(signed_store, key, md5=DIGESTS["md5"], **{algorithm: DIGESTS[algorithm]}), BODY)
        assert (await signed_store.head(key)).checksums == {algorithm: DIGESTS[algorithm]}
    await send(await signed_put(signed_store, "d", md5=DIGESTS["md5"]), BODY)
    assert (await signed_store.head("d")).checksums == {}
    parts = [some_bytes(5 * MIB), BODY]
    upload_id = await signed_store.begin_multipart("e", media_type=TEXT, checksum="sha256")
    for number, part in enumerate(parts, start=1):
        digests = {"sha256": hashlib.sha256(part).hexdigest()}
        request = await signed_store.presign_part("e", upload_id, number, size=len(part), expires_s=60, digests=digests)
        assert (await send(request, part)).status == 200
    there = await signed_store.list_parts("e", upload_id)
    assert [part.checksums["sha256"] for part in there] == [hashlib.sha256(part).hexdigest() for part in parts]
    info = await signed_store.complete_multipart("e", upload_id, [(part.number, part.etag) for part in there])
    assert info.checksums == {}
    assert await get(signed_store, "e") == b"".join(parts)


async def test_h13_a_form_is_refused_with_anything_else_than_its_policy_pins(signed_store: S3Store) -> None:
    request = await signed_post(signed_store, "folder/k", **DIGESTS)
    policy = json.loads(base64.b64decode(request.fields["policy"]))["conditions"]
    for condition in (
        {"key": "p/folder/k"},
        {"Content-Type": TEXT},
        {"Content-MD5": base64.b64encode(hashlib.md5(BODY).digest()).decode()},
        {"x-amz-checksum-algorithm": "SHA256"},
        {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()},
        ["content-length-range", len(BODY), len(BODY)],
    ):
        assert condition in policy
    assert next(iter(request.fields)) == "key"
    for body in (BODY + b"x", BODY[:-1], b""):
        await refuses(signed_store, request, body, 400)
    forged = base64.b64encode(hashlib.sha256(OTHER).digest()).decode()
    for other in (
        changed(request, key="p/other"),
        changed(request, content_type="text/html"),
        changed(request, content_type=None),
        changed(request, content_md5=forged),
        changed(request, content_md5=None),
        changed(request, x_amz_checksum_sha256=forged),
        changed(request, x_amz_signature="0" * 64),
        changed(
            request,
            policy=base64.b64encode(json.dumps({"conditions": [], "expiration": "2999-01-01T00:00:00Z"}).encode()).decode(),
        ),
    ):
        await refuses(signed_store, other, BODY, 403)
    assert (await send(request, BODY)).status == 204
    assert await get(signed_store, "folder/k") == BODY


async def test_h02_a_form_after_its_time_is_refused(signed_store: S3Store) -> None:
    await expired(signed_store, await signed_post(signed_store, expires_s=1), BODY)


async def test_a_form_for_a_key_that_the_store_would_change_is_refused(signed_store: S3Store) -> None:
    with pytest.raises(KeyInvalid):
        await signed_post(signed_store, "a/${filename}")
    await signed_put(signed_store, "a/${filename}")


async def test_h03_the_url_of_a_part_is_for_that_part_alone(signed_store: S3Store) -> None:
    upload_id = await signed_store.begin_multipart("k", media_type=TEXT)
    other_id = await signed_store.begin_multipart("k", media_type=TEXT)
    digests = {name: DIGESTS[name] for name in ("md5", "sha256")}
    request = await signed_store.presign_part("k", upload_id, 1, size=len(BODY), expires_s=60, digests=digests)
    for other in (
        changed(request, url=request.url.replace("partNumber=1", "partNumber=2")),
        changed(request, url=request.url.replace(upload_id, other_id)),
        changed(request, url=request.url.replace("/p/k", "/p/other")),
        changed(request, content_md5=None),
        changed(request, x_amz_checksum_sha256=None),
    ):
        await refuses(signed_store, other, BODY, 403)
    await refuses(signed_store, changed(request, content_length=str(len(BODY) + 1)), BODY + b"x", 403)
    await refuses(signed_store, request, OTHER, 400)
    await expired(signed_store, await signed_store.presign_part("k", upload_id, 1, size=len(BODY), expires_s=1), BODY)
    assert await signed_store.list_parts("k", upload_id) == []
    assert (await send(request, BODY)).status == 200
    assert [part.size for part in await signed_store.list_parts("k", upload_id)] == [len(BODY)]
    assert await signed_store.list_parts("k", other_id) == []


async def test_what_is_signed_follows_the_options_of_the_store(signed_store: S3Store) -> None:
    opened = signed_store._opened()
    plain = S3Store(signed_store._access, opened.name, options=S3Options(checksums=False, conditional_writes=False))
    await plain.open()
    request = await signed_put(plain, **DIGESTS)
    assert request.headers.keys() == {"Content-Length", "Content-Type", "Content-MD5"}
    await refuses(plain, request, OTHER, 400)
    assert (await send(request, BODY)).status == 200
    await plain.close()


async def test_what_the_library_would_leave_unsigned_is_refused(signed_store: S3Store) -> None:
    with pytest.raises(FeatureMissing, match="Content-Type"):
        await signed_store.presign_put(
            "k", expires_s=60, size=1, media_type="application/x-www-form-urlencoded; charset=utf-8", digests={}
        )
    for media_type in ("", "text/cßv", "text/csv\n", "a  b", " a"):
        with pytest.raises(FeatureMissing, match="media type"):
            await signed_store.presign_put("k", expires_s=60, size=1, media_type=media_type, digests={})
    for expires_s in (0, 7 * 24 * 3600 + 1):
        with pytest.raises(FeatureMissing):
            await signed_put(signed_store, expires_s=expires_s)
        with pytest.raises(FeatureMissing):
            await signed_post(signed_store, expires_s=expires_s)


RULE: Mapping[str, Any] = {
    "AllowedOrigins": ["https://*.data.example"],
    "AllowedMethods": ["PUT", "POST", "GET"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["etag"],
}
ORIGIN = "https://www.data.example"


def without(field: str, *values: str) -> dict[str, Any]:
    return {**RULE, field: [value for value in RULE[field] if value not in values]}


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ([RULE], None),
        ([{**RULE, "AllowedOrigins": ["*"]}], None),
        ([{**RULE, "AllowedOrigins": ["https://other.example"]}, RULE], None),
        ([without("AllowedMethods", "PUT"), without("AllowedMethods", "POST", "GET")], None),
        ([{**RULE, "AllowedHeaders": ["Content-*", "If-None-Match", "x-amz-*"]}], None),
        ([], "PUT, POST, GET"),
        ([{**RULE, "AllowedOrigins": ["https://other.example"]}], "PUT, POST, GET"),
        ([without("AllowedMethods", "POST")], "POST"),
        ([without("ExposeHeaders", "etag")], "ETag"),
        ([{**RULE, "AllowedHeaders": ["content-type"]}], "the headers content-type, content-md5, if-none-match"),
        ([without("ExposeHeaders", "etag"), RULE], "ETag"),
    ],
)
async def test_cors_says_what_a_browser_would_meet(signed_store: S3Store, rules: list[Any], missing: str | None) -> None:
    bucket = signed_store._opened()
    if rules:
        await bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": rules})
    answer = await signed_store.cors(ORIGIN)
    assert (answer is None) == (missing is None)
    assert answer is None or f"Missing for this origin: {missing}" in answer
    assert (await preflight(bucket, await signed_put(signed_store, **DIGESTS))) == (missing in {None, "ETag", "POST"})


async def preflight(bucket: S3Bucket, request: SignedRequest) -> bool:
    """Whether the server would let a browser send the request."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": request.method}
    headers = ",".join(sorted(name.lower() for name in request.headers if name != "Content-Length"))
    async with httpx.AsyncClient() as client:
        answer = await client.options(request.url, headers=asked | {"Access-Control-Request-Headers": headers})
    return answer.status_code == 200


async def test_cors_of_a_service_that_has_no_such_call_is_a_sentence_too(
    signed_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}, "GetBucketCors")

    monkeypatch.setattr(signed_store._opened().client, "get_bucket_cors", refuse)
    assert "can't be told" in (await signed_store.cors(ORIGIN) or "")


async def test_a_signed_request_does_not_show_itself(signed_store: S3Store) -> None:
    for request in (await signed_put(signed_store), await signed_post(signed_store)):
        assert "Signature" not in f"{request} {request!r} {[request]}"
    await put(signed_store, "k", b"x")
