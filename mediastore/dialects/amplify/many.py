"""Many records at once: made, found, changed and deleted by our batches and searches, told in the words of AMPLIfy."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from mediastore.accounts.schemas import Caller
from mediastore.catalog.batch import Batch
from mediastore.catalog.bulk import Outcome
from mediastore.catalog.errors import AnswerTooLarge, BatchUndone, RecordInvalid, RecordNotFound, RevisionMismatch
from mediastore.catalog.schemas import Media
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import SearchRequest, TagFilter
from mediastore.catalog.service import Catalog
from mediastore.dialects.amplify.records import Records, item, text_of
from mediastore.dialects.amplify.refusals import failure
from mediastore.dialects.amplify.schemas import (
    AmplifyBulk,
    AmplifyIdentifiers,
    AmplifyMedia,
    AmplifyMediaChange,
    AmplifyMediaWanted,
    AmplifyMetadata,
    AmplifyStoreKey,
    AmplifyStoreWanted,
    Pids,
)
from mediastore.errors import MediastoreError
from mediastore.transfers.arrivals import Arrivals

PAGE = 1000
TRIES = 5
"""Of a replacement that somebody else's change came before."""


class Many:
    def __init__(
        self,
        *,
        records: Records,
        catalog: Catalog,
        batch: Batch,
        search: Search,
        arrivals: Arrivals,
        max_listed: int,
        max_answer_bytes: int,
    ) -> None:
        self._records = records
        self._catalog = catalog
        self._arrivals = arrivals
        self._batch = batch
        self._search = search
        self._max_listed = max_listed
        self._max_answer_bytes = max_answer_bytes

    async def create(
        self, wanted: Sequence[AmplifyMediaWanted], *, caller: Caller
    ) -> tuple[list[AmplifyMedia], list[MediastoreError]]:
        """All of them; or what is wrong with some, and then none is made."""
        self._batch.check_number(len(wanted))  # before a store is looked for, or made, for each of them
        items: list[Raw] = []
        errors: list[MediastoreError] = []
        places: dict[AmplifyStoreWanted, str | MediastoreError] = {}
        for one in wanted:
            try:
                if one.store_config not in places:
                    places[one.store_config] = await self._place_of(one.store_config, caller=caller)
                place = places[one.store_config]
                if isinstance(place, MediastoreError):
                    errors.append(place)
                    continue
                items.append(item("create", {"pid": one.pid, **self._records.fields(one, store=place)}))
            except MediastoreError as error:
                errors.append(error)
        if errors:
            return [], errors
        outcomes = await self._batch.run(items, atomic=True, caller=caller)
        if errors := [outcome.error for outcome in outcomes if outcome.error and not isinstance(outcome.error, BatchUndone)]:
            return [], errors
        return await self._records.shown([outcome.media for outcome in outcomes if outcome.media], caller=caller), []

    async def _place_of(self, wanted: AmplifyStoreWanted, *, caller: Caller) -> str | MediastoreError:
        """The name of the store, or why there is none: asked once, however many records name it."""
        try:
            return (await self._records.store_named(wanted, caller=caller)).name
        except MediastoreError as error:
            return error

    async def read_one(self, pid: str, *, caller: Caller) -> AmplifyMedia:
        """The record, once it was looked for what has come for it. Raises `RecordNotFound` and `RecordGone`."""
        await self._catalog.read(pid, caller=caller)
        await self._arrivals.look([pid])
        media = await self._catalog.read(pid, caller=caller)  # a job may have completed it before it was looked for
        shown = await self._records.shown([media], caller=caller)
        if not shown:
            raise RecordNotFound(f"the record {pid} went away just now", pid=pid)
        return shown[0]

    async def read(self, pids: Pids, *, caller: Caller) -> list[AmplifyMedia]:
        """Those that are there for this caller, in the order in which they were named, once it was looked for what has come."""
        outcomes = await self._read(pids, caller=caller)
        medias = [outcome.media for outcome in outcomes if outcome.media]
        waited = await self._arrivals.look([media.pid for media in medias])
        if waited or any(media.status != "ready" for media in medias):  # a job may have completed one before it was looked for
            outcomes = await self._read(pids, caller=caller)
        for outcome in outcomes:
            if isinstance(outcome.error, AnswerTooLarge):
                raise outcome.error
        return await self._records.shown([outcome.media for outcome in outcomes if outcome.media], caller=caller)

    async def found(self, tags: list[str] | None, *, caller: Caller) -> list[AmplifyMedia]:
        """Records with any of these tags, or all, each once, as they were made. Raises `AnswerTooLarge` rather than drop some."""
        if tags == []:
            return []
        shown: list[AmplifyMedia] = []
        size, cursor = 0, None
        while True:
            request = SearchRequest(tags=TagFilter(any=tags or []), sort="created_at", limit=PAGE, cursor=cursor)
            page = await self._search.run(request, caller=caller)
            size += sum(len(text_of(media.metadata)) for media in page.items)
            shown += await self._records.shown(page.items, caller=caller)
            if len(shown) > self._max_listed or size > self._max_answer_bytes:
                raise AnswerTooLarge(
                    f"there are more than {min(len(shown), self._max_listed)} records, too many for one answer: search by tags, "
                    "read them by their PIDs, or page through GET /api/v1/media",
                    limit=self._max_listed,
                )
            cursor = page.next
            if cursor is None:
                return shown

    async def delete(self, pids: Pids, *, caller: Caller) -> AmplifyBulk:
        outcomes = await self._batch.run([item("delete", {"pid": pid}) for pid in pids], atomic=False, caller=caller)
        return bulk(pids, outcomes)

    async def update(self, changes: Sequence[tuple[str, dict[str, Any]]], *, caller: Caller) -> AmplifyBulk:
        """Each record changed as its own change says, in our words."""
        items = [item("update", {"pid": pid, **change}) for pid, change in changes]
        return bulk([pid for pid, _ in changes], await self._batch.run(items, atomic=False, caller=caller))

    async def edit(
        self, edits: Sequence[tuple[AmplifyMetadata, Callable[[AmplifyMetadata], dict[str, Any]]]], *, caller: Caller
    ) -> AmplifyBulk:
        """Metadata changed at places of their trees. What is no change at all is refused like one that can't be made."""
        outcomes: dict[int, Outcome] = {}
        items: dict[int, Raw] = {}
        for index, (wanted, change) in enumerate(edits):
            try:
                items[index] = item("update", {"pid": wanted.pid, **change(wanted)})
            except MediastoreError as error:
                outcomes[index] = Outcome(op="update", pid=wanted.pid, error=error)
        done = await self._batch.run(list(items.values()), atomic=False, caller=caller)
        outcomes |= dict(zip(items, done, strict=True))
        return bulk([wanted.pid for wanted, _ in edits], [outcomes[index] for index in range(len(edits))])

    async def patch(self, changes: Sequence[tuple[str, AmplifyMediaChange]], *, caller: Caller) -> list[Outcome]:
        """Give records another store for their next content. What a PID names never changes, nor what kind of name it is."""
        read = await self._read([pid for pid, _ in changes], caller=caller)
        outcomes: dict[int, Outcome] = {}
        items: dict[int, Raw] = {}
        for index, ((pid, change), there) in enumerate(zip(changes, read, strict=True)):
            try:
                if there.media is not None:
                    items[index] = item("update", {"pid": pid, **await self._patched(there.media, change, caller=caller)})
                    continue
                outcomes[index] = there
            except MediastoreError as error:
                outcomes[index] = Outcome(op="update", pid=pid, error=error)
        done = await self._batch.run(list(items.values()), atomic=False, caller=caller)
        outcomes |= dict(zip(items, done, strict=True))
        return [outcomes[index] for index in range(len(changes))]

    async def _patched(self, media: Media, change: AmplifyMediaChange, *, caller: Caller) -> dict[str, Any]:
        for name, given in (("pid", change.pid), ("new_pid", change.new_pid)):
            if given and given != media.pid:
                raise RecordInvalid(f"{name}: a PID lasts; {media.pid} can't become {given}: make another record", pid=media.pid)
        if change.pid_type and change.pid_type != media.pid_type:
            raise RecordInvalid(
                f"pid_type: {media.pid} was made as {media.pid_type}, and stays so: its PID was checked as such", pid=media.pid
            )
        if change.store_config is None:
            return {}
        return {"store": (await self._records.store_named(change.store_config, caller=caller)).name}

    async def replace_identifiers(self, wanted: Sequence[AmplifyIdentifiers], *, caller: Caller) -> AmplifyBulk:
        """These and no others: what a record has beside them goes. Read first, and again where somebody was quicker."""
        outcomes: dict[int, Outcome] = {}
        for _ in range(TRIES):
            left = [index for index in range(len(wanted)) if _to_be_done(outcomes.get(index))]
            if not left:
                break
            read = await self._read([wanted[index].pid for index in left], caller=caller)
            there = dict(zip(left, read, strict=True))
            outcomes |= {index: found for index, found in there.items() if found.media is None}
            items = {index: _replaced(wanted[index], found.media) for index, found in there.items() if found.media is not None}
            done = await self._batch.run(list(items.values()), atomic=False, caller=caller)
            outcomes |= dict(zip(items, done, strict=True))
        return bulk([one.pid for one in wanted], [outcomes[index] for index in range(len(wanted))])

    async def keep_keys(self, wanted: Sequence[AmplifyStoreKey], *, caller: Caller) -> AmplifyBulk:
        """A store key is the server's. To name the one that a record's content has changes nothing; any other is refused."""
        outcomes = await self._read([one.pid for one in wanted], caller=caller)
        keys = await self._records.keys([outcome.media for outcome in outcomes if outcome.media])
        judged = [
            outcome
            if outcome.error or keys.get(one.pid) == one.store_key
            else Outcome(op="update", pid=one.pid, error=_not_its(one))
            for one, outcome in zip(wanted, outcomes, strict=True)
        ]
        return bulk([one.pid for one in wanted], judged)

    async def _read(self, pids: Sequence[str], *, caller: Caller) -> list[Outcome]:
        return await self._batch.run([item("read", {"pid": pid}) for pid in pids], atomic=False, caller=caller)


def set_metadata(wanted: AmplifyMetadata) -> dict[str, Any]:
    """The value at this place of the tree; without keys, the whole tree."""
    return {"set_metadata": [{"path": wanted.keys or [], "value": _data(wanted)}]}


def merge_metadata(wanted: AmplifyMetadata) -> dict[str, Any]:
    """Each member of the data in the object at this place; the object's others stay. Raises `RecordInvalid`."""
    try:
        members = msgspec.json.decode(_data(wanted), type=dict[str, Raw])
    except msgspec.ValidationError as error:
        raise RecordInvalid("data has to be an object to be merged; PUT sets other values", field="data") from error
    return {"set_metadata": [{"path": [*(wanted.keys or []), name], "value": value} for name, value in members.items()]}


def remove_metadata(wanted: AmplifyMetadata) -> dict[str, Any]:
    """What is at this place of the tree goes; without keys, all of it."""
    return {"remove_metadata": [wanted.keys]} if wanted.keys else {"set_metadata": [{"path": [], "value": {}}]}


def bulk(pids: Sequence[str], outcomes: Sequence[Outcome]) -> AmplifyBulk:
    told = list(zip(pids, outcomes, strict=True))
    return AmplifyBulk(
        successes=[pid for pid, outcome in told if outcome.error is None],
        failures=[failure(pid, outcome.error) for pid, outcome in told if outcome.error is not None],
    )


def _data(wanted: AmplifyMetadata) -> Raw:
    return wanted.data if isinstance(wanted.data, Raw) else Raw(b"{}")


def _to_be_done(outcome: Outcome | None) -> bool:
    return outcome is None or isinstance(outcome.error, RevisionMismatch)


def _replaced(wanted: AmplifyIdentifiers, media: Media) -> Raw:
    before = msgspec.json.decode(text_of(media.identifiers), type=dict[str, str])
    change: dict[str, str | None] = dict.fromkeys(before)
    return item("update", {"pid": media.pid, "identifiers": change | wanted.identifiers, "revision": media.revision})


def _not_its(wanted: AmplifyStoreKey) -> RecordInvalid:
    return RecordInvalid(
        f"the store key of {wanted.pid} is chosen by the server and never changes; upload again to give it other bytes",
        pid=wanted.pid,
    )
