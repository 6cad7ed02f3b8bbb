"""Whether a file of this machine is the content of a record."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from mediastore.catalog.schemas import Media
from mediastore.client.cli.bars import Bars
from mediastore.client.cli.getting import digest_of
from mediastore.client.errors import FileUnfit
from mediastore.client.receiving import ALGORITHMS


def files_below(folder: Path) -> Iterator[Path]:
    """Every file, in order. A link to a file counts as one; one to a folder is not followed: it might lead round in a circle."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FileUnfit(f"{folder}: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():
                yield from files_below(entry)
        else:
            yield entry


async def digest(file: Path, algorithm: str, bars: Bars) -> str:
    """Lower-case hex, read in a thread. Raises `OSError`."""
    total = os.stat(file).st_size  # noqa: PTH116 - a file's table entry
    with bars.transfer(file.name) as transfer:
        loop = asyncio.get_running_loop()
        transfer.on_progress(0, total)
        transfer.on_progress(0, total)

        def came(done: int) -> None:
            loop.call_soon_threadsafe(transfer.on_progress, done, total)

        return await asyncio.to_thread(digest_of, file, algorithm, on_piece=came)


async def difference(file: Path, media: Media, bars: Bars) -> str | None:
    """What tells the file from the record's content, in words; None where nothing does. Only checksums that the server or its
    store vouch for are believed.
    """
    content = media.content
    if content is None:
        return f"{media.pid} has no content: it is {media.status}"
    actual = os.stat(file).st_size  # noqa: PTH116 - the same
    if actual != content.size:
        return f"has {actual:,} bytes, {media.pid} has {content.size:,}"
    attested = {name: item.value for name, item in content.checksums.items() if item.attested_by != "claimed"}
    algorithm = next((name for name in ALGORITHMS if name in attested), None)
    if algorithm is None:
        return f"{media.pid} has no checksum to compare with"
    found = await digest(file, algorithm, bars)
    return None if found == attested[algorithm] else f"differs from {media.pid}: its {algorithm} is {found}"
