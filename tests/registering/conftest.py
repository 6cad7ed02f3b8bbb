"""A scene with a store on disk, whose objects are registered at once unless a test leaves them to the job."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.retention.upkeep_scene import Scene, running_scene


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with running_scene(database_url, tmp_path) as scene:
        yield scene


@pytest.fixture
def later(scene: Scene) -> None:
    """Every object is left to the job."""
    scene.services.registrations._inline_bytes = -1
