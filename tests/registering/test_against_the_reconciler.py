"""A policy that removes bytes which no row names meets a registration of the same bytes: one of the two gets them, whole."""

import asyncio
from typing import Any

import pytest

from mediastore.catalog.schemas import Media
from mediastore.registering.errors import KeyNamed, NothingThere
from mediastore.retention import policy
from tests.registering.scene import content, do, is_sound, register, registered, waiting
from tests.retention.upkeep_scene import CALLER, DAY_S, Scene


async def known_for_long(scene: Scene, *keys: str, unknown: str) -> None:
    """Bytes that are due: the next comparison acts upon them."""
    await scene.policy(unknown=unknown)
    for number in range(3):
        await scene.put(f"kept-{number}")
    for key in keys:
        await scene.write(key, b"somebody's")
        scene.age(key)
    assert (await scene.reconcile(believe_unknown=True)).counted().unknown == len(keys)
    scene.clock.forward(DAY_S + 1)


@pytest.mark.parametrize("unknown", ["remove", "quarantine"])
@pytest.mark.parametrize("moment", ["ask", "rows_at"])
async def test_h06_bytes_that_are_registered_as_the_policy_decides_stay(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, unknown: str, moment: str
) -> None:
    await known_for_long(scene, "a", unknown=unknown)
    where: Any = policy if moment == "ask" else policy.queries
    step = getattr(where, moment)

    async def and_register(*arguments: Any) -> Any:
        answer = await step(*arguments)
        monkeypatch.setattr(where, moment, step)
        await registered(scene, "a", pid="a")
        return answer

    monkeypatch.setattr(where, moment, and_register)
    if moment == "rows_at":  # the comparison asks it too, before
        monkeypatch.setattr(where, moment, step)
        apply = policy.ask

        async def then(*arguments: Any) -> Any:
            answer = await apply(*arguments)
            monkeypatch.setattr(where, moment, and_register)
            return answer

        monkeypatch.setattr(policy, "ask", then)
    counts = (await scene.reconcile(believe_unknown=True)).counted()
    assert (counts.removed, counts.quarantined) == (0, 0)
    await scene.clean()
    assert await content(scene, "a") == b"somebody's"
    assert await scene.findings() == []
    await is_sound(scene)


async def test_bytes_that_wait_to_be_read_are_somebodys(scene: Scene, later: None) -> None:
    await known_for_long(scene, "a", unknown="remove")
    id = await waiting(scene, "a", pid="a")
    assert (await scene.reconcile(believe_unknown=True)).counted().unknown == 0
    scene.clock.forward(10 * DAY_S)
    assert (await scene.reconcile(believe_unknown=True)).counted().removed == 0
    await scene.clean()
    await do(scene, id)
    assert await content(scene, "a") == b"somebody's"
    await is_sound(scene)


async def test_bytes_that_the_policy_has_taken_are_registered_by_nobody(scene: Scene) -> None:
    await known_for_long(scene, "a", unknown="remove")
    assert (await scene.reconcile(believe_unknown=True)).counted().removed == 1
    with pytest.raises(KeyNamed):
        await register(scene, "a", pid="a")
    await scene.clean()
    with pytest.raises((NothingThere, KeyNamed)):
        await register(scene, "a", pid="a")
    assert await scene.sql("SELECT FROM media WHERE pid = 'a'") == []
    await is_sound(scene)


async def test_h06_many_meetings_lose_and_double_nothing(scene: Scene) -> None:
    keys = [f"k{number:02}" for number in range(40)]
    await known_for_long(scene, *keys, unknown="remove")

    async def one(number: int) -> Any:
        await asyncio.sleep(0.004 * number)
        return await register(scene, keys[number], pid=keys[number])

    comparing = asyncio.create_task(scene.reconcile(believe_unknown=True))
    outcomes = await asyncio.gather(*(one(number) for number in range(40)), return_exceptions=True)
    removed = (await comparing).counted().removed
    await scene.clean()
    await scene.clean()
    won = [keys[number] for number, outcome in enumerate(outcomes) if isinstance(outcome, Media)]
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, Media)} <= {KeyNamed, NothingThere}
    assert len(won) + removed == 40
    ours = {await scene.key_of(f"kept-{number}") for number in range(3)}
    assert set(await scene.keys()) == {*won, *ours}
    for pid in won:
        assert (await scene.services.catalog.read(pid, caller=CALLER)).status == "ready"
    await is_sound(scene)
