"""What administrators see of jobs, and do about them; and what metrics say."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.database import DatabaseServer
from tests.jobs.scene import Scene, eventually
from tests.server import Server, add_user, running_server


@pytest.fixture(scope="module")
def idle_server(database_server: DatabaseServer, template_database: str) -> Iterator[tuple[Server, str]]:
    """One that leaves jobs where they are, and the URL of its database."""
    with (
        database_server.database(template=template_database) as url,
        running_server(url, {"MEDIASTORE_WORKER_INSIDE": "no"}) as server,
    ):
        yield server, url


@pytest.fixture
def admin(idle_server: tuple[Server, str]) -> Iterator[httpx.Client]:
    with idle_server[0].client() as client:
        yield client


@pytest.fixture
async def scene(idle_server: tuple[Server, str]) -> AsyncIterator[Scene]:
    async with Scene(idle_server[1]) as made:
        await made.value("DELETE FROM pgqueuer")
        await made.value("TRUNCATE noted, allowed")
        yield made


async def test_a_waiting_job_is_shown(scene: Scene, admin: httpx.Client) -> None:
    await scene.enqueue("note", "a", delay_s=3600)
    await scene.enqueue("note", "b", local=True)
    answer = admin.get("/jobs").json()
    local, shared = answer["items"]
    assert shared == {
        "id": shared["id"],
        "job": "note",
        "local": False,
        "status": "waiting",
        "attempts": 0,
        "payload": {"text": "a"},
        "error": None,
        "created_at": shared["created_at"],
        "next_at": shared["next_at"],
    }
    assert shared["next_at"] > shared["created_at"]
    assert (local["job"], local["local"]) == ("note", True)
    assert answer["next"] is None
    assert {"job": "forget_job_log", "waiting": 0, "running": 0, "held": 0} in answer["counts"]


async def test_a_held_job_is_shown_with_its_error_and_done_when_it_is_retried(scene: Scene, admin: httpx.Client) -> None:
    await scene.enqueue("fail", "a")
    async with scene.working():
        await eventually(lambda: scene.value("SELECT status = 'failed' FROM pgqueuer"))
        [held] = admin.get("/jobs", params={"status": "held"}).json()["items"]
        assert (held["status"], held["attempts"], held["error"], held["next_at"]) == ("held", 2, "ValueError", None)
        again = admin.post(f"/jobs/{held['id']}/retry")
        assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (200, "waiting", 0)
        await eventually(lambda: scene.value("SELECT count(*) >= 3 FROM noted"))  # at once, though it would be polled for
        await eventually(lambda: scene.value("SELECT status = 'failed' AND attempts = 2 FROM pgqueuer"))
    assert admin.delete(f"/jobs/{held['id']}").status_code == 204
    for answer in (admin.delete(f"/jobs/{held['id']}"), admin.post(f"/jobs/{held['id']}/retry")):
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_running_job_is_left_alone(scene: Scene, admin: httpx.Client) -> None:
    await scene.enqueue("slow", "a")
    async with scene.working():
        await eventually(lambda: scene.noted("begun"))
        [running] = admin.get("/jobs", params={"status": "running", "job": "slow"}).json()["items"]
        for answer in (admin.delete(f"/jobs/{running['id']}"), admin.post(f"/jobs/{running['id']}/retry")):
            assert (answer.status_code, answer.json()["code"]) == (409, "job_running")
        await scene.allow("a")
    assert await scene.noted() == ["a"]


async def test_a_held_job_whose_work_waits_again_is_not_retried(scene: Scene, admin: httpx.Client) -> None:
    await scene.enqueue("note", "a", dedupe_key="k")
    await scene.value("UPDATE pgqueuer SET status = 'failed'")
    await scene.enqueue("note", "b", dedupe_key="k")
    waiting, held = admin.get("/jobs").json()["items"]
    answer = admin.post(f"/jobs/{held['id']}/retry")
    assert (answer.status_code, answer.json()["code"], answer.json()["other"]) == (409, "job_duplicate", waiting["id"])


async def test_pages_and_filters(scene: Scene, admin: httpx.Client) -> None:
    for number in range(5):
        await scene.enqueue("note", str(number))
    await scene.enqueue("slow", "other")
    seen, cursor = [], None
    while True:
        page = admin.get("/jobs", params={"job": "note", "limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["payload"]["text"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]
    assert admin.get("/jobs", params={"status": "held"}).json()["items"] == []
    assert admin.get("/jobs", params={"status": "done"}).status_code == 422
    assert admin.get("/jobs", params={"cursor": "?"}).status_code == 422
    assert admin.delete("/jobs/0").status_code in {404, 422}
    assert admin.delete(f"/jobs/{2**63}").status_code in {404, 422}


@pytest.mark.parametrize("who", ["editor", "reader", ""])
async def test_jobs_are_for_administrators(idle_server: tuple[Server, str], admin: httpx.Client, scene: Scene, who: str) -> None:
    await scene.enqueue("note", "private")
    [job] = admin.get("/jobs").json()["items"]
    if who:
        add_user(admin, f"jobs-{who}", role=who)
    with idle_server[0].client(f"jobs-{who}" if who else "") as client:
        for answer in (client.get("/jobs"), client.post(f"/jobs/{job['id']}/retry"), client.delete(f"/jobs/{job['id']}")):
            expected = (403, "not_allowed") if who else (401, "login_required")
            assert (answer.status_code, answer.json()["code"]) == expected
    assert len(admin.get("/jobs").json()["items"]) == 1


async def test_metrics_count_jobs(idle_server: tuple[Server, str], scene: Scene) -> None:
    for _ in range(3):
        await scene.enqueue("forget_job_log")
    await scene.enqueue("forget_job_log", local=True)
    await scene.value("UPDATE pgqueuer SET status = 'failed' WHERE id = (SELECT max(id) FROM pgqueuer)")
    await scene.value("UPDATE pgqueuer SET created = now() - interval '1 hour' WHERE id = (SELECT min(id) FROM pgqueuer)")
    await scene.value("INSERT INTO job_failure VALUES ('forget_job_log', 7)")
    text = httpx.get(f"{idle_server[0].url}/metrics").text
    found = dict(re.findall(r"^(mediastore_job\S+) (\S+)$", text, re.MULTILINE))
    assert found['mediastore_jobs{job="forget_job_log",status="waiting"}'] == "3.0"
    assert found['mediastore_jobs{job="forget_job_log",status="running"}'] == "0.0"
    assert found['mediastore_jobs{job="forget_job_log",status="held"}'] == "1.0"
    assert 3600 <= float(found['mediastore_job_oldest_seconds{job="forget_job_log"}']) < 3700
    assert found['mediastore_job_failures_total{job="forget_job_log"}'] == "7.0"
    assert "# TYPE mediastore_job_failures_total counter" in text
