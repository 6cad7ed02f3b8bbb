"""Who reads and changes what is made by AMPLIfy's API: every account, or by a setting its owner alone."""

import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import make_bucket
from tests.database import DatabaseServer
from tests.dialects.amplify.scene import FOLDER, SETTINGS, Client, b64, client_of, media
from tests.server import Server, add_user, running_server

MOST_ASIDE = 100_000


@pytest.fixture(scope="module")
def alone(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    settings = {
        **SETTINGS,
        "MEDIASTORE_AMPLIFY_OWNERS_ONLY": "yes",
        "MEDIASTORE_AMPLIFY_MAX_LISTED": "3",
        "MEDIASTORE_AMPLIFY_MAX_ASIDE_BYTES": str(MOST_ASIDE),
    }
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        with client_of(running) as admin:
            admin.good("POST", "/identifier", {"name": "DEMO"})
            admin.good("POST", "/store", FOLDER)
        prepare(running)
        yield running


@pytest.fixture(scope="module")
def shared(server: Server, client: Client) -> Server:
    client.good("POST", "/store", FOLDER)
    prepare(server)
    return server


def prepare(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ada")
        add_user(admin, "ben")
        add_user(admin, "rita", role="reader")


@pytest.fixture
def pid() -> str:
    return uuid.uuid4().hex


def test_every_account_reads_changes_and_deletes_what_was_made_here(shared: Server, pid: str) -> None:
    with client_of(shared, "ada") as ada, client_of(shared, "ben") as ben, client_of(shared, "rita") as rita:
        made = ada.good("POST", "/media", media(pid, tags=[pid]))
        assert ben.good("GET", f"/media/{pid}") == rita.good("GET", f"/media/{pid}") == made
        assert ben.good("POST", "/media/search", {"tags": [pid]}) == [made]
        assert ben.good("PATCH", "/media/update/tags", [{"pid": pid, "tags": ["ben"]}])["successes"] == [pid]
        assert ben.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"ben's")}) == {"status": "READY"}
        assert ada.good("GET", f"/download/{pid}")["base64"] == b64(b"ben's")
        for call in (("DELETE", f"/media/{pid}"), ("PATCH", f"/media/{pid}", {"store_config": FOLDER})):
            assert rita.call(*call)[0] == 403
        assert ben.call("DELETE", f"/media/{pid}") == (204, None)
        assert ada.call("GET", f"/media/{pid}")[0] == 404
    with shared.client("ada") as native:
        changes = native.get("/history", params={}).status_code
        assert changes in {200, 404}


def test_what_was_made_elsewhere_stays_whose_it_is(shared: Server, pid: str) -> None:
    with shared.client("ada") as native, client_of(shared, "ben") as ben, client_of(shared, "ada") as ada:
        native.put(f"/content/{pid}", content=b"mine")
        assert ada.good("GET", f"/download/{pid}")["base64"] == b64(b"mine")
        assert ada.good("GET", f"/media/{pid}")["pid_type"] == ""
        hidden, missing = ben.call("GET", f"/media/{pid}"), ben.call("GET", "/media/missing")
        assert hidden[0] == missing[0] == 404
        assert str(hidden[1]).replace(pid, "missing") == str(missing[1])
        assert ben.call("DELETE", f"/media/{pid}")[0] == 404
        assert ben.good("POST", "/media/read", [pid]) == []
        assert ben.good("POST", "/media/delete", [pid])["successes"] == []
        assert ben.call("GET", f"/download/{pid}")[0] == ben.call("GET", f"/download/url/{pid}")[0] == 404
        assert pid not in str(ben.good("GET", "/media/dump"))


@pytest.mark.parametrize("type", ["FilesystemStore", "BucketStore"])
def test_another_accounts_direct_upload_is_published_by_the_job(shared: Server, ministack: S3Access, pid: str, type: str) -> None:
    """The job knows the name of who began it alone, and that account is no owner."""
    config = FOLDER
    with client_of(shared) as admin:
        if type == "BucketStore":
            keys = {"access_key": ministack.access_key, "secret_key": ministack.secret_key}
            admin.call("POST", "/s3cfg", {"url": ministack.endpoint_url, **keys})
            config = {"type": type, "bucket": make_bucket(ministack), "s3_url": str(ministack.endpoint_url)}
            admin.good("POST", "/store", config)
    with client_of(shared, "ada") as ada, client_of(shared, "ben") as ben, shared.client("ada") as native:
        ada.good("POST", "/media", media(pid, store_config=config))
        told = ben.good("POST", "/upload", {"mediadata": media(pid, store_config=config, tags=["ben"])})
        content = b"x" * (17 * 1024 * 1024)
        assert httpx.put(told["presigned_put"], content=content, timeout=60).status_code == 200
        if type == "BucketStore":
            ben.good("GET", f"/media/{pid}")  # looks, and leaves what is large to a job
        deadline = time.monotonic() + 30
        while native.get(f"/media/{pid}").json()["status"] != "ready":
            assert time.monotonic() < deadline, native.get(f"/media/{pid}").text
            time.sleep(0.1)
        assert native.get(f"/media/{pid}").json()["tags"] == ["ben"]
        link = ben.good("GET", f"/download/url/{pid}")["presigned_get"]
        assert httpx.get(link).content == content


def test_by_a_setting_records_are_their_owners_alone(alone: Server, pid: str) -> None:
    with client_of(alone, "ada") as ada, client_of(alone, "ben") as ben, client_of(alone) as admin:
        made = ada.good("POST", "/media", media(pid, tags=[pid]))
        assert ada.good("GET", f"/media/{pid}") == admin.good("GET", f"/media/{pid}") == made
        assert ben.call("GET", f"/media/{pid}")[0] == 404
        assert ben.good("POST", "/media/search", {"tags": [pid]}) == []
        assert ben.good("PATCH", "/media/update/tags", [{"pid": pid, "tags": ["ben"]}])["successes"] == []
        assert ben.call("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"ben's")})[0] == 404
        assert ben.call("POST", "/upload", {"mediadata": media(pid)})[0] == 404
        assert ada.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"ada's")}) == {"status": "READY"}
        assert ada.call("DELETE", f"/media/{pid}") == (204, None)


def test_h17_a_list_that_would_be_too_long_is_refused_and_not_cut(alone: Server, pid: str) -> None:
    with client_of(alone, "ada") as ada:
        ada.good("POST", "/media/create", [media(f"{pid}-{number}", tags=[pid]) for number in range(3)])
        assert len(ada.good("POST", "/media/search", {"tags": [pid]})) == 3
        ada.good("POST", "/media", media(f"{pid}-3", tags=[pid]))
        for method, path, body in (("POST", "/media/search", {"tags": [pid]}), ("GET", "/media/dump", ...)):
            status, told = ada.call(method, path, body)
            assert status == 422
            assert "more than 3 records" in told["detail"][0]["error"]


def test_h17_bytes_before_their_record_are_put_aside_up_to_a_bound(alone: Server, pid: str) -> None:
    most, more = b64(bytes(MOST_ASIDE)), b64(bytes(MOST_ASIDE + 1))
    with client_of(alone, "ada") as ada:
        status, told = ada.call("POST", "/upload", {"base64": more, "mediadata": media(pid)})
        assert (status, list(told)) == (401, ["error"])
        assert "send mediadata before base64" in told["error"]
        assert ada.call("GET", f"/media/{pid}")[0] == 404
        assert ada.good("POST", "/upload", {"base64": most, "mediadata": media(pid)}) == {"status": "READY"}
        assert ada.good("POST", "/upload", {"mediadata": media(pid), "base64": more}) == {"status": "READY"}
