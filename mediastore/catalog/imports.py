"""Imports: a stream of lines of any length, taken group by group."""

import asyncio
from collections.abc import AsyncIterator
from random import uniform
from time import monotonic

from msgspec import structs

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.catalog.errors import ImportStopped
from mediastore.catalog.intake import Failure, Intake, Options, Settled
from mediastore.catalog.interchange_schemas import ImportCounts
from mediastore.database import DatabaseUnavailable
from mediastore.http.errors import BodyCut, BodyStalled
from mediastore.http.ndjson import Line

TOGETHER = 1000
GROUP_BYTES = 4 * 1024 * 1024
"""Lines that go to the database together: so many, or so long."""
PATIENCE_S = 30
"""How long an import waits for a database that is away."""
MOST_FAILURES = 100_000
"""Of one call: beyond it the file is another than was meant, and telling of each line would only fill disks."""


class Imports:
    def __init__(self, intake: Intake, *, credentials: Credentials) -> None:
        self._intake = intake
        self._credentials = credentials

    def begin(self, *, options: Options, caller: Caller) -> "Import":
        """Raises `LoginRequired` and `NotAllowed` for those who may not create records at all."""
        require(caller.identity, "write", to="import records")
        return Import(self._intake, credentials=self._credentials, options=options, caller=caller)


class Import:
    """One call."""

    def __init__(self, intake: Intake, *, credentials: Credentials, options: Options, caller: Caller) -> None:
        self._intake = intake
        self._credentials = credentials
        self._options = options
        self._caller = caller
        self._lines = 0
        self._settled = Settled()
        self._failed = 0

    @property
    def counts(self) -> ImportCounts:
        """How far it is."""
        return ImportCounts(
            lines=self._lines,
            created=self._settled.created,
            updated=self._settled.updated,
            unchanged=self._settled.unchanged,
            skipped=self._settled.skipped,
            failed=self._failed,
        )

    async def run(self, pieces: AsyncIterator[list[Line]]) -> AsyncIterator[list[Failure]]:
        """Take the lines; after each group, what failed of it. Raises what ends it early, after the whole lines before."""
        group: list[Line] = []
        size = 0
        cut: BodyCut | BodyStalled | None = None
        try:
            async for lines in pieces:
                for line in lines:
                    group.append(line)
                    size += len(line.text or b"")
                    if len(group) == TOGETHER or size >= GROUP_BYTES:
                        yield await self._take(group)
                        group, size = [], 0
        except (BodyCut, BodyStalled) as error:
            cut = error
        if group:
            yield await self._take(group)
        if cut is not None:
            raise cut

    async def _take(self, group: list[Line]) -> list[Failure]:
        full = [line for line in group if line.text is None or line.text.strip()]
        settled = await self._patiently(full) if full else Settled()
        self._lines += len(group)
        self._failed += len(settled.failures)
        self._settled += structs.replace(settled, failures=())
        if self._failed > MOST_FAILURES:
            raise ImportStopped(f"more than {MOST_FAILURES} lines failed; is it the right file?")
        return list(settled.failures)

    async def _patiently(self, lines: list[Line]) -> Settled:
        """A database that leaves for a moment costs a moment: a group that may or may not have been committed is taken again."""
        until = monotonic() + PATIENCE_S
        while True:
            try:
                # An import can take hours, and an account can lose its rights meanwhile.
                self._caller = await self._credentials.still(self._caller)
                require(self._caller.identity, "write", to="import records")
                return await self._intake.settle(lines, options=self._options, caller=self._caller)
            except DatabaseUnavailable:
                if monotonic() > until:
                    raise
                await asyncio.sleep(uniform(0.05, 1))  # noqa: S311 - so that two that met don't meet again
