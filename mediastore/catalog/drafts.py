"""From what someone says of a record to a record that may be inserted, or to the changes of one that is there."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from mediastore.accounts.access import owns
from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Identity
from mediastore.catalog.edits import edited
from mediastore.catalog.errors import RecordInvalid
from mediastore.catalog.merge import MOST_DIGITS, check_numbers, depth, holds_nul, merge_patch, same_json
from mediastore.catalog.pids import check_pid
from mediastore.catalog.queries import IdentifierChange, MediaRow, NewMedia
from mediastore.catalog.rules import Rules, StoreRule
from mediastore.catalog.schemas import MediaChange, MediaFields
from mediastore.clock import sensible
from mediastore.events.schemas import Change

OWNERS_ALONE = ("access", "readers", "writers", "public_at", "owner")
"""Fields that decide who sees a record: writers leave them alone."""


class Drafts:
    def __init__(self, rules: Rules, *, default_store: str, max_metadata_depth: int) -> None:
        self._rules = rules
        self._default_store = default_store
        self._max_depth = max_metadata_depth

    def forget_rules(self) -> None:
        """The rules turned out to be old."""
        self._rules.forget()

    async def refresh_rules(self) -> None:
        """To be called before a transaction in which drafts are made."""
        await self._rules.refresh()

    async def new(self, pid: str, fields: MediaFields, *, owner: str, now: datetime) -> NewMedia:
        """A record to insert. Raises what is wrong with it, before anything is written."""
        check_pid(pid)
        await self._rules.check_pid_type(pid, fields.pid_type)
        store = await self._rules.store(fields.store or self._default_store)
        metadata = fields.metadata if isinstance(fields.metadata, Raw) else Raw(b"{}")
        self.check_metadata(metadata)
        identifiers = await self._rules.identifiers(fields.identifiers, pid=pid, pid_type=fields.pid_type)
        _check_texts([*fields.tags, *fields.identifiers.values()])
        facts: dict[str, Any] = {
            "pid_type": fields.pid_type,
            "metadata": metadata,
            "tags": _distinct(fields.tags),
            "owner": owner,
            "access": fields.access,
            "readers": _distinct(fields.readers),
            "writers": _distinct(fields.writers),
            "public_at": sensible(fields.public_at, name="public_at"),
            "expires_at": expiry(store, ttl_s=fields.ttl_s, expires_at=fields.expires_at, now=now),
        }
        noted = {**facts, "store": store.row.name, "identifiers": {item.type: item.value for item in identifiers}}
        changes = {name: {"after": value} for name, value in noted.items() if value not in (None, [], {}, Raw(b"{}"))}
        return NewMedia(pid=pid, store=store.row.id, store_name=store.row.name, identifiers=identifiers, changes=changes, **facts)

    async def changed(
        self, row: MediaRow, change: MediaChange, *, identity: Identity, now: datetime
    ) -> tuple[MediaRow, IdentifierChange | None, dict[str, Change]]:
        """The record as it would be, its identifiers where they change, and what differs."""
        self._may(row, change, identity)
        given: dict[str, Any] = {
            name: value for name in change.__struct_fields__ if (value := getattr(change, name, UNSET)) is not UNSET
        }
        new: dict[str, Any] = {name: given[name] for name in ("access", "owner") if name in given}
        if "public_at" in given:
            new["public_at"] = sensible(given["public_at"], name="public_at")
        new |= {name: _distinct(given[name] or []) for name in ("tags", "readers", "writers") if name in given}
        if change.add_tags or change.remove_tags:
            new["tags"] = _retagged(new.get("tags", row.tags), add=change.add_tags, remove=change.remove_tags)
        _check_texts(new.get("tags", []))
        store = await self._rules.store(given.get("store", row.store_name)) if given.keys() & STORE_MATTERS else None
        if "store" in given and store is not None:
            new |= {"store": store.row.id, "store_name": store.row.name}
        if given.keys() & {"ttl_s", "expires_at"} and store is not None:
            new["expires_at"] = expiry(
                store, ttl_s=given.get("ttl_s"), expires_at=given.get("expires_at"), now=now, ask_default=False
            )
        elif store is not None:
            new["expires_at"] = limited(store, row.expires_at, now=now)
        if "metadata" in given or change.set_metadata or change.remove_metadata:
            new["metadata"] = self._remade(row.metadata, change)
        identifiers = None
        if "identifiers" in given:
            before = msgspec.json.decode(row.identifiers)
            merged = _patched(before, given["identifiers"])
            # Only what is new is judged: a value that was there before its pattern changed does not stand in the way.
            fresh = {name: value for name, value in merged.items() if before.get(name) != value}
            _check_texts(list(fresh.values()))
            added = await self._rules.identifiers(fresh, pid=row.pid, pid_type=row.pid_type)
            kept = {name: value for name, value in merged.items() if name not in fresh}
            identifiers = IdentifierChange(added=added, removed=sorted(before.keys() - merged.keys()))
            new["identifiers"] = Raw(msgspec.json.encode(kept | {item.type: item.value for item in added}))
        after = msgspec.structs.replace(row, **new)
        return after, identifiers, _differences(row, after, new)

    def check_metadata(self, metadata: Raw) -> None:
        """Raise `RecordInvalid` for what PostgreSQL's jsonb, or the people after us, can't take."""
        text = bytes(metadata)
        if not text.lstrip().startswith(b"{"):
            raise RecordInvalid('metadata has to be a JSON object, such as {"depth": 12.5}')
        self._check_value(metadata)

    def _check_value(self, value: Raw) -> None:
        if holds_nul(value):
            raise RecordInvalid("metadata must not hold the character U+0000: the database can't keep it")
        try:
            check_numbers(value)
            levels = depth(value)
        except (ValueError, ArithmeticError, msgspec.DecodeError) as error:
            raise RecordInvalid(f"metadata must not hold a number of more than {MOST_DIGITS} digits, written out") from error
        if levels > self._max_depth:
            raise RecordInvalid(f"metadata is nested {levels} deep; {self._max_depth} levels are allowed", depth=levels)

    def _remade(self, metadata: Raw, change: MediaChange) -> Raw:
        """The metadata after the change."""
        if isinstance(change.metadata, Raw):
            self.check_metadata(change.metadata)
            metadata = merge_patch(metadata, change.metadata)
        if change.set_metadata or change.remove_metadata:
            for edit in change.set_metadata:
                self._check_value(edit.value)
            metadata = edited(metadata, put=change.set_metadata, removed=change.remove_metadata)
        self.check_metadata(metadata)
        return metadata

    def _may(self, row: MediaRow, change: MediaChange, identity: Identity) -> None:
        touched = [name for name in OWNERS_ALONE if getattr(change, name) is not UNSET]
        if touched and not owns(row, identity):
            raise NotAllowed(f"only the owner or an administrator may change {touched[0]} of {row.pid}", field=touched[0])


LONGEST_LIFE = timedelta(seconds=3_153_600_000)
STORE_MATTERS = {"store", "ttl_s", "expires_at"}


def expiry(
    store: StoreRule, *, ttl_s: int | None, expires_at: datetime | None, now: datetime, ask_default: bool = True
) -> datetime | None:
    """When a record expires, by its own wish and its store's policy. Raises `RecordInvalid`."""
    policy = store.retention
    if ttl_s is not None and expires_at is not None:
        raise RecordInvalid("give ttl_s or expires_at, not both")
    expires_at = sensible(expires_at, name="expires_at")
    if ttl_s is not None:
        expires_at = now + timedelta(seconds=ttl_s)
    if expires_at is not None and expires_at <= now:
        raise RecordInvalid(f"expires_at {expires_at.isoformat()} lies in the past", expires_at=expires_at)
    if expires_at is not None and expires_at - now > LONGEST_LIFE:
        raise RecordInvalid("expires_at lies more than 100 years ahead; leave it out to keep the record for good")
    if expires_at is None and ask_default and policy.default_ttl_s is not None:
        expires_at = now + timedelta(seconds=policy.default_ttl_s)
    if policy.max_ttl_s is not None:
        latest = now + timedelta(seconds=policy.max_ttl_s)
        if expires_at is None and ask_default:
            return latest
        if expires_at is None or expires_at > latest:
            raise RecordInvalid(
                f"the store {store.row.name} keeps records for {policy.max_ttl_s} s at most", max_ttl_s=policy.max_ttl_s
            )
    return expires_at


def limited(store: StoreRule, expires_at: datetime | None, *, now: datetime) -> datetime | None:
    """The expiry of a record that comes into a store: no later than its policy allows."""
    if store.retention.max_ttl_s is None:
        return expires_at
    latest = now + timedelta(seconds=store.retention.max_ttl_s)
    return latest if expires_at is None or expires_at > latest else expires_at


def _patched(target: dict[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {**target, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def _differences(before: MediaRow, after: MediaRow, new: Mapping[str, object]) -> dict[str, Change]:
    differences = {}
    for name in new:
        if name == "store":
            continue
        old, now = getattr(before, name), getattr(after, name)
        same = same_json(old, now) if isinstance(old, Raw) and isinstance(now, Raw) else old == now
        if not same:
            differences["store" if name == "store_name" else name] = Change(before=old, after=now)
    return differences


MOST_TAGS = 1000


def _retagged(tags: list[str], *, add: list[str], remove: list[str]) -> list[str]:
    """What is added goes to the end; what is both added and removed is gone."""
    gone = set(remove)
    kept = [tag for tag in dict.fromkeys([*tags, *add]) if tag not in gone]
    if len(kept) > MOST_TAGS:
        raise RecordInvalid(f"a record has at most {MOST_TAGS} tags; it would have {len(kept)}", tags=len(kept))
    return kept


def _distinct(items: list[str]) -> list[str]:
    """In the order in which they came, each once."""
    return list(dict.fromkeys(items)) if len(items) > 1 else items


def _check_texts(texts: list[str]) -> None:
    for text in texts:
        if "\x00" in text:
            raise RecordInvalid("tags and identifiers must not hold the character U+0000", value=ascii(text))
