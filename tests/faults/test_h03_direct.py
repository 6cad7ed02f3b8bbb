"""H03: URLs, the upload's time and the caller's token end half-way: what is whole can be completed, and no URL told is dead."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Caught, Direct, direct_site
from tests.faults.harness import MIB, content, eventually, name
from tests.transfers.sending import send, send_part

SIZE = 10 * MIB + 1
RIGHT = content(SIZE, "right")
ASKED = {"size": SIZE, "method": "multipart", "part_size": 5 * MIB}


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack, proxied=True, environment={"MEDIASTORE_PRESIGNED_URL_TTL_S": "3"}) as made:
        yield made


def lists_parts(line: bytes) -> bool:
    return line.startswith(b"GET") and b"uploadId=" in line


def in_future(moment: str) -> bool:
    return datetime.fromisoformat(moment) > datetime.now(UTC)


def test_h03_everything_expires_before_the_second_part(direct: Direct) -> None:
    key = direct.admin.post("/auth/keys", json={"name": "short-lived", "scopes": ["read", "write"]}).json()
    with direct.site.server.client("") as nobody:
        for_a_while = {"Authorization": f"Bearer {key['key']}"}
        asked = [{"pid": name(), "store": store, **ASKED} for store in ("bucket", "local")]
        uploads = [nobody.post("/uploads", json=one, headers=for_a_while).json() for one in asked]
        for upload in uploads:
            assert send_part(upload["parts"][0], RIGHT).status_code == 200
        assert direct.admin.delete(f"/auth/keys/{key['id']}").status_code == 204
        assert nobody.get("/auth/me", headers=for_a_while).status_code == 401
        eventually(lambda: not in_future(uploads[0]["urls_expire_at"]), what="the URLs have ended")
        assert send_part(uploads[0]["parts"][1], RIGHT).status_code == 403
        for upload in uploads:
            path, token = f"/uploads/{upload['id']}", f"?token={upload['token']}"
            fresh = nobody.post(f"{path}/parts{token}", json={"parts": [{"number": 2}]}).json()
            [part] = fresh["parts"]
            assert (part["number"], part["received"]) == (2, False)
            assert in_future(fresh["urls_expire_at"])
            assert send_part(part, RIGHT).status_code == 200
            direct.change(upload, "expires_at = now() - interval '10 minutes'")
            if upload is uploads[1]:
                late = send_part(upload["parts"][2], RIGHT)
                assert (late.status_code, late.json()["code"]) == (410, "upload_expired")
            shown = nobody.get(f"{path}{token}").json()
            assert [(part["received"], part["url"] is None) for part in shown["parts"]] == [
                (True, True),
                (True, True),
                (False, False),
            ]
            assert in_future(shown["expires_at"])
            assert in_future(shown["urls_expire_at"])
            assert [answer.status_code for answer in send(shown, RIGHT)] == [200]
            direct.change(upload, "expires_at = now() - interval '10 minutes'")
            done = nobody.post(f"{path}/complete{token}")
            assert (done.status_code, done.json()["status"]) == (200, "ready"), done.text


@pytest.mark.parametrize("store", ["bucket", "local"])
def test_h03_what_was_given_up_says_so_and_gives_no_urls(direct: Direct, store: str) -> None:
    upload = direct.begin(pid=name(), store=store, **ASKED)
    direct.expire(upload)
    eventually(lambda: direct.status(upload)["status"] == "failed", what="given up")
    shown = direct.admin.get(f"/uploads/{upload['id']}").json()
    assert (shown["status"], shown["url"], shown["parts"], shown["expires_at"]) == ("failed", None, [], None)
    for path in ("complete", "parts"):
        answer = direct.admin.post(
            f"/uploads/{upload['id']}/{path}", json={"parts": [{"number": 1}]} if path == "parts" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_ended")
        assert "expired" in answer.json()["detail"]
    if store == "local":
        late = send_part(upload["parts"][0], RIGHT)
        assert (late.status_code, late.json()["code"]) == (409, "upload_ended")
    direct.settled(later=True)


def test_h03_who_comes_back_at_the_last_moment_is_not_given_up(direct: Direct) -> None:
    """The clean-up has found that parts are missing, and then its owner asks for fresh URLs."""
    upload: dict[str, Any] = direct.begin(pid=name(), store="bucket", **ASKED)
    caught = Caught(direct, lists_parts, answered=True)
    direct.expire(upload)
    caught.wait()
    # As a GET would, which would wait for the same answer of the store.
    direct.change(upload, "last_activity = now(), expires_at = now() + interval '1 day'")
    caught.let_go(drop=False)
    eventually(direct.no_jobs, what="the clean-up is done with it")
    shown = direct.admin.get(f"/uploads/{upload['id']}").json()
    assert shown["status"] == "open"
    assert [answer.status_code for answer in send(shown, RIGHT)] == [200, 200, 200]
    assert direct.complete(upload).json()["status"] == "ready"
    direct.settled(later=True)
