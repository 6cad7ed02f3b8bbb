"""Records in the words of AMPLIfy, and from its words to ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.errors import RecordInvalid
from mediastore.catalog.numbers import Numbers
from mediastore.catalog.schemas import Media, TypeName
from mediastore.dialects.amplify import stores
from mediastore.dialects.amplify.schemas import AmplifyMedia, AmplifyMediaWanted, AmplifyStore, AmplifyStoreWanted, Pk
from mediastore.dialects.amplify.sharing import Sharing
from mediastore.placement.directory import Directory, Place
from mediastore.placement.errors import StoreExists, StoreNotFound, StoreOverlaps
from mediastore.placement.service import Placement


class Records:
    def __init__(
        self, *, numbers: Numbers, directory: Directory, placement: Placement, sharing: Sharing, roots: Sequence[Path]
    ) -> None:
        self._numbers = numbers
        self._directory = directory
        self._placement = placement
        self._sharing = sharing
        self._roots = roots

    async def shown(self, medias: Sequence[Media], *, caller: Caller) -> list[AmplifyMedia]:
        """The records in the words of this API. One that has gone in this very moment is left out."""
        if not medias:
            return []
        numbered = await self._numbers.of([media.pid for media in medias])
        places = {place.name: place for place in await self._directory.places(caller=caller)}
        return [
            AmplifyMedia(
                pk=numbered[media.pid].id,
                pid=media.pid,
                pid_type=media.pid_type or "",
                store_config=self.store_shown(places[media.store]),
                store_status="READY" if media.status == "ready" else "PENDING",
                identifiers=media.identifiers,
                metadata=media.metadata,  # type: ignore[arg-type]  # Raw, see Media
                tags=media.tags,
            )
            for media in medias
            if media.pid in numbered and media.store in places
        ]

    async def keys(self, medias: Sequence[Media]) -> dict[str, str | None]:
        """Where the contents of these records lie, by PID."""
        return {pid: found.key for pid, found in (await self._numbers.of([media.pid for media in medias])).items()}

    def store_shown(self, place: Place) -> AmplifyStore:
        return stores.shown(place, roots=self._roots)

    async def store_named(self, wanted: AmplifyStoreWanted | Pk, *, caller: Caller) -> Place:
        """The store that is meant; made where there is none, by who may do so. Raises `StoreNotFound` and `NotAllowed`."""
        places = await self._directory.places(caller=caller)
        if isinstance(wanted, int):
            return numbered_place(places, wanted)
        found = stores.find(wanted, places, roots=self._roots)
        if found is None:
            require(caller.identity, "admin", to=f"make the {wanted.type} {wanted.bucket!r}, which is not there yet")
            services = await self._directory.services(caller=caller)
            draft = stores.draft(wanted, services, roots=self._roots)
            try:
                name = (await self._placement.create_store(draft, caller=caller)).name
            except (StoreExists, StoreOverlaps):  # as when somebody else makes it at this moment
                found = stores.find(wanted, await self._directory.places(caller=caller), roots=self._roots)
                if found is None:
                    raise
            else:
                found = next(place for place in await self._directory.places(caller=caller) if place.name == name)
        return found

    def fields(self, wanted: AmplifyMediaWanted, *, store: str) -> dict[str, Any]:
        """What a new record says, in our words; to be read again by them, so that our bounds hold. Raises `RecordInvalid`."""
        check_type(wanted.pid_type, field="pid_type")
        for name in wanted.identifiers or {}:
            check_type(name, field="identifiers")
        return {
            "pid_type": wanted.pid_type,
            "identifiers": wanted.identifiers or {},
            "metadata": wanted.metadata or {},
            "tags": wanted.tags or [],
            "store": store,
            "readers": self._sharing.principals,
            "writers": self._sharing.principals,
        }


def numbered_place(places: Sequence[Place], pk: Pk) -> Place:
    """Raises `StoreNotFound`."""
    for place in places:
        if place.id == pk:
            return place
    raise StoreNotFound(f"there is no store {pk}", store=pk)


def check_type(name: str, *, field: str) -> None:
    """Raise `RecordInvalid` for the name of an identifier type that none can have."""
    try:
        msgspec.convert(name, TypeName)
    except msgspec.ValidationError as error:
        raise RecordInvalid(f"there is no identifier type {name!r}", identifier_type=name, field=field) from error


def text_of(value: object) -> bytes:
    """The JSON of a field of a record, which mostly is handed on as it is (`Media`)."""
    return bytes(value) if isinstance(value, Raw) else msgspec.json.encode(value)


def item(op: str, given: Mapping[str, Any]) -> Raw:
    """One item of a batch."""
    return Raw(msgspec.json.encode({"op": op, **{name: value for name, value in given.items() if value is not UNSET}}))
