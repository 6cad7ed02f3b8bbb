"""Registrations and scans of a scene: begun, done by their jobs, and what they have come to."""

import hashlib
from typing import Any

import msgspec

from mediastore.catalog.schemas import Media
from mediastore.registering.scans import ScanJob
from mediastore.registering.schemas import Registration, RegistrationAsk, Scan, ScanAsk
from mediastore.registering.service import RegisterJob
from mediastore.transfers.declared import About, about_record
from tests.retention.upkeep_scene import CALLER, Scene


def about(asked: dict[str, Any]) -> About:
    own = {"pid", "key", "media_type", "filename", "checksums", "pid_pattern", "prefix", "min_age_s"}
    return about_record(msgspec.json.encode({name: value for name, value in asked.items() if name not in own}))


async def register(scene: Scene, key: str, *, store: str = "local", **asked: Any) -> Media | Registration:
    ask = msgspec.json.decode(msgspec.json.encode({"key": key, **asked}), type=RegistrationAsk)
    return await scene.services.registrations.begin(store, ask, about(asked), caller=CALLER)


async def registered(scene: Scene, key: str, *, store: str = "local", **asked: Any) -> Media:
    made = await register(scene, key, store=store, **asked)
    assert isinstance(made, Media), made
    return made


async def waiting(scene: Scene, key: str, *, store: str = "local", **asked: Any) -> int:
    """One that is left to its job."""
    made = await register(scene, key, store=store, **asked)
    assert isinstance(made, Registration), made
    assert made.status == "waiting"
    return made.id


async def do(scene: Scene, registration: int) -> None:
    """The job."""
    await scene.services.registrations.register(msgspec.json.encode(RegisterJob(registration=registration)))


async def shown(scene: Scene, registration: int, *, store: str = "local") -> Registration:
    return await scene.services.registrations.show(store, registration, caller=CALLER)


async def begin_scan(scene: Scene, *, store: str = "local", **asked: Any) -> int:
    asked = {"min_age_s": 0, "pid_pattern": "{key}", **asked}
    return (await scene.services.scans.begin(store, msgspec.convert(asked, ScanAsk), about(asked), caller=CALLER)).id


async def run_scan(scene: Scene, scan: int) -> None:
    """The job."""
    await scene.services.scans.run(msgspec.json.encode(ScanJob(scan=scan)))


async def scanned(scene: Scene, *, store: str = "local", **asked: Any) -> Scan:
    id = await begin_scan(scene, store=store, **asked)
    await run_scan(scene, id)
    return await scene.services.scans.show(store, id, caller=CALLER)


async def content(scene: Scene, pid: str) -> bytes:
    found = await scene.services.downloads.find(pid, version=None, caller=CALLER)
    stream = await scene.services.downloads.stream(found, start=0, end=found.size)
    return b"".join([piece async for piece in stream])


async def is_sound(scene: Scene, store: str = "local") -> None:
    """Each ready record has bytes that are what is said of them; nothing waits; no key is in two hands."""
    rows = await scene.sql(
        "SELECT m.pid, o.key, o.size, o.state, o.checksums FROM media m JOIN stored_object o ON o.id = m.current_object "
        "WHERE m.status = 'ready'"
    )
    opened = await scene.opened(store)
    for row in rows:
        assert row["state"] == "stored"
        found = b"".join([piece async for piece in opened.read(row["key"])])
        assert len(found) == row["size"]
        said = msgspec.json.decode(row["checksums"])["sha256"]
        assert (said["value"], said["attested_by"]) == (hashlib.sha256(found).hexdigest(), "server")
    assert await scene.sql("SELECT FROM registration WHERE state = 'waiting'") == []
    assert await scene.sql("SELECT FROM stored_object WHERE state IN ('writing', 'verifying')") == []
    assert await scene.sql("SELECT FROM media WHERE status = 'pending'") == []
