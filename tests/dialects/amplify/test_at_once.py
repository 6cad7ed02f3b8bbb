"""Readers, jobs and other clients of AMPLIfy at the same moment: whoever comes second finds what the first one made."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from stores.config import S3Access
from tests.accounts.peek import rows
from tests.buckets import make_bucket
from tests.dialects.amplify.scene import FOLDER, Client, b64, media
from tests.server import Server


@pytest.fixture(scope="module")
def plain() -> Iterator[httpx.Client]:
    """Knows nothing but URLs."""
    with httpx.Client(timeout=60) as client:
        yield client


@pytest.fixture
def slow_publishing(server: Server) -> Iterator[None]:
    """It takes 0.7 s in the database."""
    rows(
        server,
        """
        CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END'
        """,
    )
    rows(
        server,
        """
        CREATE TRIGGER wait_a_while BEFORE UPDATE ON upload FOR EACH ROW WHEN (NEW.state = 'completed')
        EXECUTE FUNCTION wait_a_while()
        """,
    )
    yield
    rows(server, "DROP FUNCTION wait_a_while CASCADE")


def side_by_side(work: Callable[[int], str | None], *, times: int) -> list[str]:
    """What went wrong."""
    with ThreadPoolExecutor(4) as pool:
        return [wrong for wrong in pool.map(work, range(times)) if wrong]


def test_who_reads_while_a_job_completes_the_upload_is_told_the_same_as_the_job(client: Client, plain: httpx.Client) -> None:
    client.good("POST", "/store", FOLDER)

    def put_and_read(number: int) -> str | None:
        pid = f"{uuid.uuid4().hex}/raw"
        url = client.good("POST", "/upload", {"mediadata": media(pid)})["presigned_put"]
        assert plain.put(url, content=b"abc").status_code == 200
        if number % 2:
            [told] = client.good("POST", "/media/read", [pid])
            return None if told["store_status"] == "READY" else str(told)
        status, told = client.call("GET", f"/download/{pid}")
        return None if status == 200 and told["mediadata"]["store_status"] == "READY" else str(told)

    assert side_by_side(put_and_read, times=200) == []


def test_who_reads_while_another_verifies_the_bytes_waits_for_that(
    server: Server, client: Client, plain: httpx.Client, ministack: S3Access, slow_publishing: None
) -> None:
    url = str(ministack.endpoint_url)
    client.good("POST", "/s3cfg", {"url": url, "access_key": ministack.access_key, "secret_key": ministack.secret_key})
    place = {"type": "BucketStore", "bucket": make_bucket(ministack), "s3_url": url}
    pid = f"{uuid.uuid4().hex}/raw"
    upload = client.good("POST", "/upload", {"mediadata": media(pid, store_config=place)})
    assert plain.put(upload["presigned_put"], content=b"abc").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.good, "GET", f"/download/{pid}")
        while not first.done() and not rows(server, "SELECT FROM upload WHERE pid = $1 AND state = 'verifying'", pid):
            time.sleep(0.01)
        for told in (client.good("GET", f"/download/{pid}"), first.result()):
            assert (told["base64"], told["mediadata"]["store_status"]) == (b64(b"abc"), "READY")


def test_many_make_the_same_store_at_once(client: Client) -> None:
    def upload(number: int) -> str | None:
        place = {"type": "DictStore" if number % 2 else "FilesystemStore", "bucket": f"shared{number // 8}", "s3_url": ""}
        status, told = client.call(
            "POST", "/upload", {"mediadata": media(f"{uuid.uuid4().hex}/raw", store_config=place), "base64": ""}
        )
        return None if status == 200 else str(told)

    assert side_by_side(upload, times=64) == []
