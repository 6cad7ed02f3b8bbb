"""Direct uploads to be hurt: a server with a store `bucket` in S3 that checks signatures, and what is really there."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import httpx
import msgspec

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.faults.conftest import Sites
from tests.faults.harness import Proxy, Site, eventually
from tests.transfers import sending


class Bucket:
    """What lies in a bucket, asked of the S3 server itself."""

    def __init__(self, access: S3Access, name: str) -> None:
        self.name = name
        self.client: Any = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=access.region,
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
        )

    def objects(self) -> set[str]:
        answer = self.client.list_objects_v2(Bucket=self.name)
        return {item["Key"] for item in answer.get("Contents", ())}

    def uploads(self) -> set[tuple[str, str]]:
        """Keys and ids of multipart uploads that are open."""
        answer = self.client.list_multipart_uploads(Bucket=self.name)
        return {(item["Key"], item["UploadId"]) for item in answer.get("Uploads", ())}

    def abort(self, key: str, upload_id: str) -> None:
        self.client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)


@dataclass
class Direct:
    """A server with the stores `local`, `scratch` and `bucket`, and all that a test wants to know of its uploads."""

    site: Site
    bucket: Bucket
    proxy: Proxy | None
    ignored: set[str] = field(default_factory=set)

    @property
    def admin(self) -> httpx.Client:
        return self.site.admin

    def begin(self, **asked: Any) -> dict[str, Any]:
        return sending.begin(self.admin, **asked)

    def complete(self, upload: Mapping[str, Any], **asked: Any) -> httpx.Response:
        return sending.complete(self.admin, upload, **asked)

    def status(self, upload: Mapping[str, Any]) -> dict[str, Any]:
        """As the list of uploads tells it, which is no sign of life."""
        items = self.admin.get("/uploads?limit=1000").json()["items"]
        found: dict[str, Any] = next(item for item in items if item["id"] == upload["id"])
        return found

    def row(self, upload: Mapping[str, Any]) -> Any:
        """The row of the upload, with the key and the state of its object."""
        [row] = self.site.rows(
            "SELECT u.*, o.key, o.state AS object_state FROM upload u JOIN stored_object o ON o.id = u.stored_object "
            "WHERE u.id = $1",
            upload["id"],
        )
        return row

    def change(self, upload: Mapping[str, Any], assignments: str) -> Any:
        """Change the row of an upload, times above all; returns it."""
        [row] = self.site.rows(f"UPDATE upload SET {assignments} WHERE id = $1 RETURNING *", upload["id"])
        return row

    def expire(self, upload: Mapping[str, Any]) -> None:
        """As if its time and the grace had passed since it was last heard of."""
        self.change(
            upload,
            "last_activity = last_activity - interval '3 days', expires_at = now() - interval '2 days', "
            "urls_until = least(urls_until, now() - interval '2 days')",
        )

    @contextmanager
    def locked_upload(self, upload: Mapping[str, Any]) -> Iterator[None]:
        """Hold the row of an upload for the length of the block."""
        with self.site.holding("SELECT FROM upload WHERE id = $1 FOR UPDATE", upload["id"]):
            yield

    def later(self) -> None:
        """As if more than a day had gone by since every URL had ended, and every upload that did."""
        self.site.rows(
            "UPDATE upload SET urls_until = now() - interval '2 days' WHERE urls_until > now() - interval '2 days' "
            "AND (state IN ('failed', 'completed'))"
        )
        self.site.rows(
            "UPDATE stored_object SET next_attempt_at = now(), doomed_at = least(doomed_at, now() - interval '2 days') "
            "WHERE state = 'purging' AND next_attempt_at > now() + interval '1 hour'"
        )

    def no_jobs(self) -> bool:
        """Whether no job is due, or being done; some look once more after a minute."""
        return bool(self.site.value("SELECT count(*) = 0 FROM pgqueuer WHERE execute_after <= now()"))

    def hurry(self) -> None:
        """As if it was time for every job that waits."""
        self.site.rows("UPDATE pgqueuer SET execute_after = now() WHERE status = 'queued' AND execute_after > now()")

    def becomes(self, upload: Mapping[str, Any], status: str) -> None:
        """AssertionError unless an upload ends so in bounded time, without waiting for the next try of its job."""

        def look() -> bool:
            self.hurry()
            return bool(self.status(upload)["status"] == status)

        eventually(look, what=f"{upload['id']} {status}")

    def purged_once(self, upload: Mapping[str, Any]) -> bool:
        """Whether nothing is left for now at the keys of an upload that has ended; they are purged once more."""
        return bool(
            self.site.value(
                "SELECT bool_and(o.state = 'purged' OR o.state = 'purging' AND o.next_attempt_at > now() + interval '1 hour') "
                "FROM upload u JOIN stored_object o ON o.id IN (u.stored_object, u.landing) WHERE u.id = $1",
                upload["id"],
            )
        )

    def expected(self) -> set[str]:
        """The keys in the bucket at which something may lie for good."""
        return self.site.expected_keys("bucket")

    def there(self) -> set[str]:
        """The keys in the bucket at which something lies, be it parts."""
        return self.bucket.objects() | {key for key, _ in self.bucket.uploads()}

    def left(self) -> set[str]:
        """Uploads and objects that are not final, and bytes that no row calls stored."""
        found = {f"multipart upload {key}" for key, _ in self.bucket.uploads()}
        found |= {f"object {key}" for key in self.bucket.objects() - self.expected()}
        waiting = self.site.rows(
            "SELECT id::text, state FROM upload WHERE state IN ('open', 'verifying') "
            "UNION ALL SELECT key, state FROM stored_object WHERE state IN ('writing', 'verifying') "
            "OR state = 'purging' AND (next_attempt_at <= now() OR attempts > 0)"
        )
        return (found | {f"{row['id']} {row['state']}" for row in waiting} | self.site.unknown()) - self.ignored

    def ignore_leftovers(self) -> None:
        """What an earlier test has left is not counted against the next one."""
        self.ignored = set()
        self.ignored = self.left()

    def settled(self, *, later: bool = False, within_s: float = 20) -> None:
        """AssertionError unless in bounded time nothing is left, nobody is waited for, and sums equal a recount.

        What is purged once more when no bytes can come any more counts as gone; `later`, that time comes now.
        """
        deadline = time.monotonic() + within_s
        if later:
            self.later()
        while left := self.left():
            assert time.monotonic() < deadline, f"left behind after {within_s} s: {sorted(left)}"
            time.sleep(0.1)
            if later:
                self.later()
        if not self.ignored:
            assert self.site.metric("mediastore_oldest_nonfinal_seconds") == 0
        self.consistent()

    def consistent(self) -> None:
        """What is ready has its bytes, and quotas are what a recount says."""
        wrong = self.site.rows(
            """
            SELECT m.pid, m.status, o.state FROM media m LEFT JOIN stored_object o ON o.id = m.current_object
            WHERE m.status = 'ready' AND (o.state IS DISTINCT FROM 'stored' OR o.version <> m.version)
                OR m.status <> 'ready' AND m.current_object IS NOT NULL
            """
        )
        assert wrong == []
        lost = self.site.rows(
            """
            SELECT store, owner, object_count, byte_count FROM store_usage WHERE object_count <> 0 OR byte_count <> 0
            EXCEPT SELECT o.store, m.owner, count(*), sum(o.size) FROM stored_object o JOIN media m ON m.id = o.media
            WHERE o.state = 'stored' GROUP BY o.store, m.owner
            """
        )
        assert lost == []


class Caught:
    """Holds the requests, or their answers, that a test waits for, so that something happens at that moment."""

    def __init__(self, direct: Direct, wanted: Callable[[bytes], bool], *, answered: bool) -> None:
        self._direct = direct
        self._wanted = wanted
        self._seen = threading.Semaphore(0)
        self._go = threading.Event()
        self._drop = True
        assert direct.proxy is not None
        if answered:
            direct.proxy.on_answer = lambda line, _: self._catch(line)
        else:
            direct.proxy.on_request = self._catch

    def wait(self, count: int = 1) -> None:
        """Until so many more are held."""
        for _ in range(count):
            assert self._seen.acquire(timeout=20)

    def let_go(self, *, drop: bool) -> None:
        self._drop = drop
        self._go.set()

    def kill(self, count: int = 1) -> None:
        """The server dies while so many requests are under way."""
        self.wait(count)
        self._direct.site.server.kill()
        self.let_go(drop=True)
        self._direct.site.server.start()

    def _catch(self, line: bytes) -> bool:
        if self._go.is_set() or not self._wanted(line):
            return False
        self._seen.release()
        assert self._go.wait(60)
        return self._drop


def begins(line: bytes) -> bool:
    return line.startswith(b"POST") and b"uploads" in line and b"uploadId" not in line


def completes(line: bytes) -> bool:
    return line.startswith(b"POST") and b"uploadId=" in line


def reads(line: bytes) -> bool:
    return line.startswith(b"GET") and b"?" not in line


def writes(line: bytes) -> bool:
    return line.startswith(b"PUT")


@contextmanager
def direct_site(
    sites: Sites, ministack: S3Access, *, proxied: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[Direct]:
    """`proxied` puts a proxy before the bucket, for this server and for its clients."""
    with sites(s3=False, environment=environment) as site:
        access, proxy = ministack, None
        if proxied:
            proxy = Proxy(urlsplit(ministack.endpoint_url or "").port or 0)
            access = msgspec.structs.replace(ministack, endpoint_url=f"http://127.0.0.1:{proxy.port}")
        try:
            bucket = add_s3_store(site.admin, access, "bucket")
            yield Direct(site, Bucket(ministack, bucket), proxy)
        finally:
            if proxy is not None:
                proxy.close()
