"""Each call of the dialect as its clients make it, to the letter of status and body."""

import hashlib
from datetime import datetime, timedelta

import httpx

from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS, of
from tests.dialects.staging.staging import add_staging_store, send
from tests.faults.harness import eventually
from tests.server import Server, running_server

DATA = b"a,b\r\n1,2\r\n" * 1000
FIELDS = {
    "id",
    "label",
    "status",
    "reason",
    "sha1",
    "md5",
    "data_url",
    "expires_at",
    "filename",
    "media_type",
    "size",
    "created_at",
    "uploaded_at",
    "pid",
}


def test_a_whole_session(server: Server, ann: httpx.Client) -> None:
    answer = ann.post("/upload", data={"label": "Cast 7"}, files={"file": ("cast.csv", DATA, "text/csv")})
    assert answer.status_code == 202, answer.text
    report = answer.json()
    assert report.keys() == FIELDS
    url = f"{server.url}/staging/upload/{report['id']}/data"
    told = {name: report[name] for name in ("label", "status", "reason", "filename", "media_type", "size", "data_url")}
    assert told == {
        "label": "Cast 7",
        "status": "success",
        "reason": None,
        "filename": "cast.csv",
        "media_type": "text/csv",
        "size": len(DATA),
        "data_url": url,
    }
    assert (report["sha1"], report["md5"]) == (hashlib.sha1(DATA).hexdigest(), hashlib.md5(DATA).hexdigest())
    kept = datetime.fromisoformat(report["expires_at"]) - datetime.fromisoformat(report["created_at"])
    assert abs(kept - timedelta(days=30)) < timedelta(seconds=10)
    assert answer.headers["location"] == url.removesuffix("/data")

    assert ann.get("/upload").json() == [report]
    assert ann.get(f"/upload/{report['id']}").json() == report

    redirect = ann.get(f"/upload/{report['id']}/data")
    assert (redirect.status_code, redirect.content) == (302, b"")
    assert redirect.headers["referrer-policy"] == "no-referrer"
    assert httpx.get(redirect.headers["location"]).content == DATA, "without a log-in"

    gone = ann.delete(f"/upload/{report['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    again = ann.delete(f"/upload/{report['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "upload_unknown")
    assert ann.get(f"/upload/{report['id']}/data").status_code == 404
    assert ann.get("/upload").json() == []
    assert httpx.get(redirect.headers["location"]).status_code == 410, "nor does the signed URL give it any more"


def test_each_upload_is_a_private_record_with_a_pid(server: Server, ann: httpx.Client) -> None:
    report = send(ann, "a.bin", b"x", "A label")
    with server.client("ann") as native:
        record = native.get(f"/media/{report['pid']}").json()
        assert (record["access"], record["owner"], record["store"], record["status"]) == ("private", "ann", "staging", "ready")
        assert record["metadata"]["staging"]["label"] == "A label"
        assert record["expires_at"] == report["expires_at"]
    with server.client("bob") as other:
        assert other.get(f"/media/{report['pid']}").status_code == 404


def test_another_s_upload_is_not_there(server: Server, ann: httpx.Client, bob: httpx.Client) -> None:
    report = send(ann, "a.bin", b"secret")
    missing = bob.get("/upload/00000000-0000-7000-8000-000000000000")
    with of(server, "rita") as reader:
        for client in (bob, reader):
            for method, path in (("GET", ""), ("GET", "/data"), ("GET", "/link"), ("DELETE", "")):
                answer = client.request(method, f"/upload/{report['id']}{path}")
                assert answer.status_code == 404, (method, path)
                assert answer.json()["error"].replace(report["id"], "*") == missing.json()["error"].replace(
                    "00000000-0000-7000-8000-000000000000", "*"
                )
            assert report["id"] not in client.get("/upload").text
    assert ann.get(f"/upload/{report['id']}").status_code == 200


def test_the_list_has_pages_newest_first(server: Server) -> None:
    with server.client() as admin:
        admin.post("/users", json={"name": "paula", "role": "editor", "password": "a password for tests"})
    with of(server, "paula") as paula:
        sent = [send(paula, f"{number}.txt", b"x")["id"] for number in range(5)]
        found: list[str] = []
        following = {"limit": "2"}
        for expected in (2, 2, 1):
            answer = paula.get("/upload", params=following)
            page = [report["id"] for report in answer.json()]
            assert len(page) == expected
            found += page
            following = dict(httpx.URL(answer.links["next"]["url"]).params) if "next" in answer.links else {}
        assert found == sent[::-1]
        assert following == {}, "no page follows the last"


def test_the_label_may_follow_the_file(ann: httpx.Client) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nxyz\r\n'
    form += b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\nCast \xc3\xa9\r\n--b--\r\n'
    answer = ann.post("/upload", content=form, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 202, answer.text
    listed = ann.get(f"/upload/{answer.json()['id']}").json()
    assert (answer.json()["label"], listed["label"], listed["size"], listed["filename"]) == ("Cast é", "Cast é", 3, "a.txt")


def test_without_a_label_the_file_s_name_is_it(ann: httpx.Client) -> None:
    assert send(ann, "cast-9.csv", b"x")["label"] == "cast-9.csv"


def test_what_has_expired_is_not_there_and_the_sweeper_takes_its_bytes(
    database_server: DatabaseServer, template_database: str
) -> None:
    settings = {**SETTINGS, "MEDIASTORE_STAGING_TTL_S": "60"}
    with (
        database_server.database(template=template_database) as url,
        running_server(url, settings) as server,
        server.client() as native,
        httpx.Client(base_url=f"{server.url}/staging", params={"token": server.token()}) as admin,
    ):
        add_staging_store(native, retention={"grace_s": 0, "max_share_per_run": 1})
        kept, gone = send(admin, "kept", b"kept"), send(admin, "gone", b"gone")
        lives = datetime.fromisoformat(kept["expires_at"]) - datetime.fromisoformat(kept["created_at"])
        assert abs(lives.total_seconds() - 60) < 1
        native.patch(f"/media/{gone['pid']}", json={"ttl_s": 1})
        eventually(lambda: admin.get(f"/upload/{gone['id']}").status_code == 404)
        assert admin.get(f"/upload/{gone['id']}/data").status_code == 404
        assert [report["id"] for report in admin.get("/upload").json()] == [kept["id"]]
        swept = native.post("/stores/staging/sweep", json={"dry_run": False})
        assert swept.status_code in {200, 202}, swept.text
        eventually(lambda: native.get("/stores/staging/usage").json()["used"] == {"bytes": 4, "objects": 1})
        assert admin.get(f"/upload/{kept['id']}").json() == kept
