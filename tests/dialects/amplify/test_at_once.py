"""Readers, jobs and other clients of AMPLIfy at the same moment: whoever comes second finds what the first one made."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from stores.config import S3Access
from tests.accounts.peek import rows
from tests.buckets import make_bucket
from tests.dialects.amplify.scene import FOLDER, Client, b64, media
from tests.server import Server


def side_by_side(work: Callable[[int], str | None], *, times: int) -> list[str]:
    """What went wrong."""
    with ThreadPoolExecutor(4) as pool:
        return [wrong for wrong in pool.map(work, range(times)) if wrong]


def test_who_reads_while_a_job_completes_the_upload_is_told_the_same_as_the_job(client: Client) -> None:
    client.good("POST", "/store", FOLDER)

    def put_and_read(number: int) -> str | None:
        pid = f"{uuid.uuid4().hex}/raw"
        url = client.good("POST", "/upload", {"mediadata": media(pid)})["presigned_put"]
        assert httpx.put(url, content=b"abc").status_code == 200
        if number % 2:
            [told] = client.good("POST", "/media/read", [pid])
            return None if told["store_status"] == "READY" else str(told)
        status, told = client.call("GET", f"/download/{pid}")
        return None if status == 200 and told["mediadata"]["store_status"] == "READY" else str(told)

    assert side_by_side(put_and_read, times=300) == []


def test_an_upload_whose_verification_was_begun_and_left_is_completed_by_who_reads_it(
    server: Server, client: Client, ministack: S3Access
) -> None:
    """As by a server that was killed there. A job goes on with it, too, but only after a minute."""
    url = str(ministack.endpoint_url)
    client.good("POST", "/s3cfg", {"url": url, "access_key": ministack.access_key, "secret_key": ministack.secret_key})
    place = {"type": "BucketStore", "bucket": make_bucket(ministack), "s3_url": url}
    pid = f"{uuid.uuid4().hex}/raw"
    upload = client.good("POST", "/upload", {"mediadata": media(pid, store_config=place)})
    assert httpx.put(upload["presigned_put"], content=b"abc").status_code == 200
    begun = "UPDATE upload SET state = 'verifying', verifying_at = now() WHERE pid = $1 AND state = 'open' RETURNING id"
    assert len(rows(server, begun, pid)) == 1
    told = client.good("GET", f"/download/{pid}")
    assert (told["base64"], told["mediadata"]["store_status"]) == (b64(b"abc"), "READY")


def test_many_make_the_same_store_at_once(client: Client) -> None:
    def upload(number: int) -> str | None:
        place = {"type": "DictStore" if number % 2 else "FilesystemStore", "bucket": f"shared{number // 8}", "s3_url": ""}
        status, told = client.call(
            "POST", "/upload", {"mediadata": media(f"{uuid.uuid4().hex}/raw", store_config=place), "base64": ""}
        )
        return None if status == 200 else str(told)

    assert side_by_side(upload, times=64) == []
