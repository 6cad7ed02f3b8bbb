"""`GET /retention/{pid}`: what will happen to a record, when, and which rule decides, in words and in data."""

from datetime import timedelta

import pytest

from mediastore.clock import utc_now
from mediastore.retention.schemas import HoldCreate, Outlook
from tests.retention.conftest import CALLER, Scene


async def outlook(scene: Scene, pid: str = "r/0") -> Outlook:
    return await scene.services.holds.outlook(pid, caller=CALLER)


def day(days: float) -> str:
    return f"{utc_now() + timedelta(days=days):%Y-%m-%d}"


@pytest.mark.parametrize("rule", ["exempt_tags", "exempt_where"])
async def test_an_exempt_record_that_has_expired_is_not_served_and_not_removed(scene: Scene, rule: str) -> None:
    await scene.policy(**{rule: ("keep",) if rule == "exempt_tags" else '$.camera == "CAM-3"'})
    await scene.seed(1, expired=True, tags=["keep"], metadata='{"camera": "CAM-3"}')
    told = await outlook(scene)
    assert (told.decided_by, told.status, told.removal_at, told.restorable) == (rule, "expired", None, True)
    assert told.sentence.startswith("It expired on ")
    assert "is not served, but it is never removed: its store exempts" in told.sentence
    assert "a PATCH of expires_at brings it back" in told.sentence
    assert (await scene.sweep()).exempt == 1


async def test_after_the_last_hold_has_ended_the_sweeper_comes(scene: Scene) -> None:
    await scene.policy(grace_s=3600)
    await scene.seed(1, expired=True)
    for days in (30, 60):
        until = utc_now() + timedelta(days=days)
        await scene.services.holds.place("r/0", HoldCreate(reason="paper", until=until), caller=CALLER)
    told = await outlook(scene)
    assert told.removal_at is not None
    assert (told.decided_by, f"{told.removal_at:%Y-%m-%d}") == ("hold", day(60))
    assert f"admin (paper) until {day(60)}" in told.sentence
    assert f"the sweeper removes it after {day(60)}" in told.sentence
    await scene.services.holds.place("r/0", HoldCreate(reason="for good"), caller=CALLER)
    told = await outlook(scene)
    assert told.removal_at is None
    assert "; once nothing holds it, the sweeper removes it after " in told.sentence
    assert told.sentence.endswith("; until it is removed, a PATCH of expires_at brings it back.")


async def test_a_held_record_without_an_expiry_stays_when_the_hold_has_ended(scene: Scene) -> None:
    await scene.seed(1, expired=True)
    await scene.sql("UPDATE media SET expires_at = NULL")
    await scene.services.holds.place("r/0", HoldCreate(reason="paper", until=utc_now() + timedelta(days=1)), caller=CALLER)
    told = await outlook(scene)
    assert (told.decided_by, told.removal_at) == ("hold", None)
    assert told.sentence.startswith("It is not removed while it is held by admin (paper) until ")


async def test_what_is_lost_can_not_be_brought_back(scene: Scene) -> None:
    await scene.policy(grace_s=7200)
    await scene.seed(1, expired=True)
    await scene.sql("UPDATE media SET status = 'lost'")
    told = await outlook(scene)
    assert (told.status, told.restorable) == ("lost", False)
    assert "PATCH" not in told.sentence
