"""Records over HTTP."""

import httpx


def test_a_record_is_made_read_changed_and_deleted(admin: httpx.Client) -> None:
    made = admin.post("/media", json={"pid": "first/one", "metadata": {"depth": 12.5}, "tags": ["raw"]})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/api/v1/media/first/one"
    assert made.headers["etag"] == '"1"'
    read = admin.get("/media/first/one")
    assert read.json() == made.json()
    assert read.json()["status"] == "pending"

    changed = admin.patch("/media/first/one", json={"metadata": {"depth": None, "cruise": "AR77"}}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.json()["metadata"] == {"cruise": "AR77"}
    assert changed.json()["revision"] == 2

    assert admin.delete("/media/first/one").status_code == 204
    gone = admin.get("/media/first/one")
    assert gone.status_code == 410
    assert gone.json()["code"] == "record_gone"
    assert admin.post("/media", json={"pid": "first/one"}).json()["code"] == "pid_taken"
