"""Moments at the very ends of the calendar, where adding an offset leads out of it."""

import httpx
import pytest

from tests.server import Server, add_user


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_at", "9999-12-31T23:59:59Z"),
        ("expires_at", "9999-12-31T23:59:59-12:00"),
        ("public_at", "9999-12-31T23:59:59-12:00"),
        ("public_at", "0001-01-01T00:00:00+12:00"),
        ("public_at", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_moment_at_the_end_of_the_calendar_is_refused_or_can_be_read(
    server: Server, admin: httpx.Client, field: str, value: str
) -> None:
    name = f"calendar-{field}-{value[:4]}-{'utc' if value.endswith('Z') else 'offset'}"
    add_user(admin, name)
    with server.client(name) as user:
        use_it(user, name, field, value)


def use_it(user: httpx.Client, pid: str, field: str, value: str) -> None:
    made = user.post("/media", json={"pid": pid, field: value})
    batch = user.post("/media/batch", json={"items": [{"op": "create", "pid": f"{pid}/b", field: value}]})
    user.post("/media", json={"pid": f"{pid}/p"})
    patched = user.patch(f"/media/{pid}/p", json={field: value})
    assert made.status_code in {201, 422}, made.text
    assert batch.status_code == 200, batch.text
    assert patched.status_code in {200, 422}, patched.text
    for name in (pid, f"{pid}/b", f"{pid}/p"):
        assert user.get(f"/media/{name}").status_code in {200, 404}
        assert user.get(f"/content/{name}").status_code == 404
    assert user.get("/media?limit=1000").status_code == 200, "one record does not break everybody's listing"
