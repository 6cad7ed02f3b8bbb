"""What the clock makes of upkeep, and what administrators decide about what was found."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Caller, Identity
from mediastore.catalog.errors import RecordNotFound
from mediastore.jobs.errors import RetryLater
from mediastore.placement.errors import StoreInvalid
from mediastore.placement.schemas import Quota, StoreChange, StoreCreate
from mediastore.retention.findings import AdoptJob
from mediastore.retention.upkeep import StoreJob
from mediastore.retention.upkeep_errors import AdoptionFailed, FindingDecided, FindingNotFound
from mediastore.retention.upkeep_schemas import FindingDecision
from tests.retention.upkeep_scene import CALLER, DAY_S, HOUR_S, Scene, running_scene


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr("mediastore.retention.upkeep.WAIT_S", 0.2)
    async with running_scene(database_url, tmp_path) as scene:
        yield scene


async def waiting(scene: Scene) -> list[str]:
    await scene.services.upkeep.enqueue_due()
    rows = await scene.sql("SELECT entrypoint FROM pgqueuer ORDER BY entrypoint")
    await scene.sql("DELETE FROM pgqueuer")
    return [row["entrypoint"] for row in rows]


async def do(scene: Scene, name: str = "local") -> None:
    await scene.services.upkeep.reconcile_store(msgspec.json.encode(StoreJob(store=await scene.store(name))))


class TestTheClock:
    async def test_a_store_is_compared_once_in_its_interval(self, scene: Scene) -> None:
        assert await waiting(scene) == [], "a new store has nothing to compare"
        scene.clock.forward(DAY_S + 1)
        assert await waiting(scene) == ["reconcile_store"]
        assert await waiting(scene) == ["reconcile_store"], "until it is done"
        await do(scene)
        assert await waiting(scene) == []
        scene.clock.forward(DAY_S + 1)
        assert await waiting(scene) == ["reconcile_store"]

    async def test_what_is_absent_is_asked_for_in_between(self, scene: Scene) -> None:
        for pid in ("gone", "kept"):
            await scene.put(pid)
        await scene.remove(await scene.key_of("gone"))
        await scene.reconcile()
        assert await waiting(scene) == []
        for _ in range(2):
            scene.clock.forward(HOUR_S / 2 + 1)
            assert await waiting(scene) == ["reconcile_store"]
            await do(scene)
        assert await scene.status("gone") == "lost"
        assert await waiting(scene) == []

    async def test_one_that_was_stopped_is_tried_again_within_the_hour(self, scene: Scene) -> None:
        await scene.put("a")
        await scene.remove(await scene.key_of("a"))
        assert (await scene.reconcile()).stopped_by == "nothing_found"
        scene.clock.forward(HOUR_S + 1)
        assert await waiting(scene) == ["reconcile_store"]

    async def test_it_can_be_switched_off(self, scene: Scene) -> None:
        await scene.policy(reconcile_interval_s=0, fixity_period_s=0)
        await scene.put("a")
        scene.clock.forward(1000 * DAY_S)
        assert await waiting(scene) == []

    async def test_objects_are_read_when_they_are_due(self, scene: Scene) -> None:
        await scene.policy(reconcile_interval_s=0)
        await scene.put("a")
        assert await waiting(scene) == []
        scene.clock.forward(91 * DAY_S)
        assert await waiting(scene) == ["check_fixity"]
        await scene.services.upkeep.check_fixity(msgspec.json.encode(StoreJob(store=await scene.store())))
        assert await waiting(scene) == []

    async def test_memory_is_looked_after_where_it_lies(self, scene: Scene) -> None:
        store = StoreCreate(name="quick", kind="memory", checksums=("sha256",))
        await scene.services.placement.add_store(store, actor="system")
        await scene.policy(reconcile_interval_s=0)
        await scene.put("in-memory", store="quick")
        scene.clock.forward(DAY_S + 1)
        assert await waiting(scene) == ["reconcile_store@server"]
        await do(scene, "quick")
        assert (await scene.sql("SELECT stopped_by FROM reconciliation"))[0]["stopped_by"] is None

    async def test_a_store_that_another_process_compares_is_waited_for(self, scene: Scene) -> None:
        await scene.sql(
            "INSERT INTO upkeep (store, task, held_until) VALUES ($1, 'reconcile', now() + interval '1 minute')",
            await scene.store(),
        )
        with pytest.raises(RetryLater):
            await do(scene)

    @pytest.mark.parametrize("policy", [{"reconcile_interval_s": 10}, {"fixity_period_s": 60}])
    async def test_intervals_that_make_no_sense_are_refused(self, scene: Scene, policy: dict[str, Any]) -> None:
        with pytest.raises(StoreInvalid, match="at least"):
            await scene.policy(**policy)


class TestDecisions:
    async def found(self, scene: Scene, content: bytes = b"nobody's") -> int:
        await scene.put("kept")
        await scene.write("00/unknown", content)
        scene.age("00/unknown")
        await scene.reconcile()
        [found] = await scene.findings()
        return int(found["id"])

    async def decide(self, scene: Scene, id: int, decision: Any, pid: str | None = None) -> Any:
        asked = FindingDecision(decision=decision, pid=pid)
        return await scene.services.findings.decide("local", id, asked, caller=CALLER)

    async def adopt(self, scene: Scene, id: int) -> None:
        await scene.services.findings.adopt(msgspec.json.encode(AdoptJob(store=await scene.store(), finding=id)))

    async def test_remove(self, scene: Scene) -> None:
        finding, done = await self.decide(scene, await self.found(scene), "remove")
        assert (finding.decision, finding.decided_by, done) == ("remove", "admin", True)
        await scene.clean()
        assert await scene.keys() == [await scene.key_of("kept")]
        with pytest.raises(FindingDecided):
            await self.decide(scene, finding.id, "quarantine")

    async def test_quarantine(self, scene: Scene) -> None:
        await self.decide(scene, await self.found(scene), "quarantine")
        await scene.clean()
        [row] = await scene.sql("SELECT state FROM stored_object WHERE key = '00/unknown'")
        assert (row["state"], len(await scene.keys())) == ("quarantined", 2)

    async def test_adopt_reads_all_bytes_before_a_record_has_them(self, scene: Scene) -> None:
        id = await self.found(scene)
        finding, done = await self.decide(scene, id, "adopt", "kept")
        assert (finding.decision, finding.done_at, done) == ("adopt", None, False)
        assert (await scene.services.catalog.read("kept", caller=CALLER)).version == 1
        await self.adopt(scene, id)
        await self.adopt(scene, id)
        record = await scene.services.catalog.read("kept", caller=CALLER)
        assert (record.version, record.status) == (2, "ready")
        versions = await scene.services.catalog.versions("kept", caller=CALLER)
        checksums = msgspec.json.decode(msgspec.json.encode(versions[0].checksums))
        assert checksums["sha256"]["value"] == hashlib.sha256(b"nobody's").hexdigest()
        assert (await scene.history("kept"))[-1] == "adopted"
        found = await scene.services.downloads.find("kept", version=None, caller=CALLER)
        stream = await scene.services.downloads.stream(found, start=0, end=found.size)
        assert b"".join([piece async for piece in stream]) == b"nobody's"
        assert (await scene.reconcile()).counted().unknown == 0

    async def test_adopt_keeps_to_the_quota_and_can_be_decided_anew(self, scene: Scene) -> None:
        id = await self.found(scene)
        change = StoreChange(quota=Quota(bytes=6))
        await scene.services.placement.change_store("local", change, caller=CALLER)
        await self.decide(scene, id, "adopt", "kept")
        await self.adopt(scene, id)
        [found] = await scene.findings()
        assert (found["decision"], found["done_at"]) == (None, None)
        assert "quota" in found["problem"]
        assert (await scene.services.catalog.read("kept", caller=CALLER)).version == 1
        with pytest.raises(AdoptionFailed):
            await self.adopt_in_time(scene, id)
        await self.decide(scene, id, "remove")

    async def adopt_in_time(self, scene: Scene, id: int) -> None:
        """The job is done while the request waits."""
        look = scene.services.findings._found

        async def and_job(*arguments: Any) -> Any:
            found = await look(*arguments)
            if found.decision == "adopt":
                await self.adopt(scene, id)
                found = await look(*arguments)
            return found

        scene.services.findings._found = and_job  # type: ignore[method-assign]  # a fault, for this test alone
        try:
            await self.decide(scene, id, "adopt", "kept")
        finally:
            scene.services.findings._found = look  # type: ignore[method-assign]  # a fault, for this test alone

    async def test_what_makes_no_sense_is_refused(self, scene: Scene) -> None:
        id = await self.found(scene)
        for decision, pid in (("abort", None), ("remove", "kept"), ("adopt", None)):
            with pytest.raises(FindingDecided):
                await self.decide(scene, id, decision, pid)
        with pytest.raises(RecordNotFound):
            await self.decide(scene, id, "adopt", "no-such-record")
        with pytest.raises(FindingNotFound):
            await self.decide(scene, id + 1, "remove")
        await scene.remove("00/unknown")
        with pytest.raises(FindingNotFound, match="gone"):
            await self.decide(scene, id, "remove")
        assert await scene.findings() == []

    async def test_only_administrators_decide(self, scene: Scene) -> None:
        id = await self.found(scene)
        editor = Caller(identity=Identity(name="eve", role="editor", scopes=("read", "write")))
        with pytest.raises(NotAllowed):
            await scene.services.findings.decide("local", id, FindingDecision(decision="remove"), caller=editor)
