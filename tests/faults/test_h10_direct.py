"""H10: direct uploads that live are not ended, and those that are dead are, however many, whatever a listing shows."""

from collections.abc import Iterator

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Direct, direct_site
from tests.faults.harness import MIB, Upload, content, eventually, name
from tests.transfers.sending import send, send_part

SIZE = 5 * MIB + 1
RIGHT = content(SIZE, "right")
ASKED = {"size": SIZE, "method": "multipart", "part_size": 5 * MIB}
MANY = 1_050


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack, proxied=True, environment={"MEDIASTORE_QUARANTINE_S": "0"}) as made:
        yield made


def test_h10_a_part_that_came_straight_to_the_store_keeps_its_upload_alive(direct: Direct) -> None:
    """Begun three days ago, and this server has not heard of it since."""
    upload = direct.begin(pid=name(), store="bucket", **ASKED)
    assert send_part(upload["parts"][0], RIGHT).status_code == 200
    direct.expire(upload)
    direct.change(upload, "created_at = now() - interval '3 days'")
    eventually(lambda: direct.site.value("SELECT expires_at > now() FROM upload WHERE id = $1", upload["id"]), what="it lives")
    row = direct.row(upload)
    assert (row["state"], row["object_state"]) == ("open", "writing")
    assert send_part(upload["parts"][1], RIGHT).status_code == 200
    assert direct.complete(upload).json()["status"] == "ready"
    direct.settled(later=True)


@pytest.mark.parametrize("sign", ["part", "question", "fresh URLs"])
def test_h10_every_sign_of_life_counts(direct: Direct, sign: str) -> None:
    upload = direct.begin(pid=name(), store="local", **ASKED)
    direct.change(upload, "created_at = now() - interval '30 days', expires_at = now() + interval '20 seconds'")
    if sign == "part":
        assert send_part(upload["parts"][0], RIGHT).status_code == 200
    elif sign == "question":
        assert direct.admin.get(f"/uploads/{upload['id']}").status_code == 200
    else:
        assert direct.admin.post(f"/uploads/{upload['id']}/parts", json={"parts": [{"number": 1}]}).status_code == 200
    assert direct.site.value("SELECT expires_at > now() + interval '23 hours' FROM upload WHERE id = $1", upload["id"])
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204


def test_h10_a_part_under_way_keeps_its_upload_alive(direct: Direct) -> None:
    """Its time ends while the part comes."""
    upload = direct.begin(pid=name(), store="local", **ASKED)
    part = upload["parts"][0]
    raw = Upload(direct.site, "", length=part["size"], target=f"PUT /api/v1{part['url'].partition('/api/v1')[2]}")
    raw.send(RIGHT[: 2 * MIB])
    eventually(lambda: direct.site.value("SELECT count(*) FROM upload_part WHERE upload = $1", upload["id"]) == 1)
    direct.change(upload, "expires_at = now() - interval '10 minutes'")
    raw.send(RIGHT[2 * MIB : 5 * MIB])
    assert raw.answer().status == 200
    assert direct.site.value("SELECT expires_at > now() FROM upload WHERE id = $1", upload["id"])
    assert send_part(direct.admin.get(f"/uploads/{upload['id']}").json()["parts"][1], RIGHT).status_code == 200
    assert direct.complete(upload).json()["status"] == "ready"
    direct.settled()


def test_h10_more_than_a_thousand_are_all_ended(direct: Direct) -> None:
    model = direct.begin(pid=name(), store="local", size=3)
    real = [direct.begin(pid=name(), store="bucket", **ASKED) for _ in range(3)]
    direct.site.rows(
        """
        WITH model AS (SELECT o.* FROM stored_object o JOIN upload u ON u.stored_object = o.id WHERE u.id = $1),
            copies AS (
                INSERT INTO stored_object (media, store, key, media_type, state)
                SELECT media, store, 'zz/' || gen_random_uuid(), media_type, 'writing' FROM model, generate_series(1, $2::int)
                RETURNING id)
        INSERT INTO upload (
            id, stored_object, method, state, caller, created_record, size, reserved, pid, claims, about, expires_at)
        SELECT gen_random_uuid(), c.id, method, 'open', caller, false, size, reserved, pid, claims, about, expires_at
        FROM copies c, upload u WHERE u.id = $1
        """,
        model["id"],
        MANY,
    )
    assert direct.admin.get("/stores/local/usage").json()["reserved"]["objects"] == MANY + 1
    assert direct.site.metric("mediastore_oldest_nonfinal_seconds") >= 0
    direct.site.rows(
        "UPDATE upload SET last_activity = now() - interval '3 days', expires_at = now() - interval '2 days', urls_until = NULL "
        "WHERE state = 'open'"
    )
    assert direct.site.metric("mediastore_oldest_nonfinal_seconds") > 2 * 86_400
    direct.settled(within_s=60)
    assert direct.site.value("SELECT count(*) FROM upload WHERE state = 'failed' AND reason = 'expired'") >= MANY + 1 + len(real)
    assert direct.admin.get("/stores/local/usage").json()["reserved"] == {"bytes": 0, "objects": 0}


def test_h10_the_stored_id_is_aborted_and_one_that_was_never_stored_is_found(direct: Direct) -> None:
    """The store's listing of uploads fails, which is asked for the second one alone."""
    known, unknown = (direct.begin(pid=name(), store="bucket", **ASKED) for _ in range(2))
    for upload in (known, unknown):
        assert send_part(upload["parts"][0], RIGHT).status_code == 200
    keys = [direct.row(upload)["key"] for upload in (known, unknown)]
    direct.change(unknown, "s3_upload_id = NULL")
    assert direct.proxy is not None
    direct.proxy.on_request = lambda line: b"uploads" in line
    for upload in (known, unknown):
        assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    eventually(lambda: {key for key, _ in direct.bucket.uploads()} == {keys[1]}, what="the known one is aborted")
    eventually(
        lambda: direct.site.value("SELECT attempts FROM stored_object WHERE key = $1", keys[1]), what="the other was tried"
    )
    assert direct.row(unknown)["object_state"] == "purging"
    direct.proxy.on_request = None
    direct.site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging' AND attempts > 0")
    direct.settled()


def test_h10_an_answer_never_heard_does_not_leave_an_upload_open(direct: Direct) -> None:
    """The store begins a multipart upload and its answer is lost: the caller is told, and nothing stays."""
    assert direct.proxy is not None
    direct.proxy.on_answer = lambda line, _: line.startswith(b"POST") and b"uploads" in line
    answer = direct.admin.post("/uploads", json={"pid": name(), "store": "bucket", **ASKED})
    direct.proxy.on_answer = None
    assert answer.status_code == 503, answer.text
    direct.settled()
    retried = direct.begin(pid=name(), store="bucket", **ASKED)
    send(retried, RIGHT)
    assert direct.complete(retried).json()["status"] == "ready"
    direct.settled(later=True)
