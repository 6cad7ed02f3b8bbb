"""What a search should find, said a second time and without a database: one record after the other."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from mediastore.accounts.access import Access, may_create, may_read
from mediastore.accounts.schemas import Identity
from mediastore.catalog.search_schemas import SearchRequest

WORD = re.compile(r"[0-9A-Za-z\u0080-\U0010ffff]+")


class Thing(Struct, frozen=True, kw_only=True):
    """A record, with its content where it has some."""

    id: int
    pid: str
    pid_type: str | None
    identifiers: dict[str, str]
    metadata: dict[str, Any]
    tags: list[str]
    owner: str
    access: Access
    readers: list[str]
    writers: list[str]
    public_at: datetime | None
    store: str
    status: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    size: int | None
    """None: no content."""
    media_type: str
    filename: str | None
    digest: str


FIELDS: dict[str, tuple[list[str], str]] = {
    "depth": (["depth"], "number"),
    "cast_depth": (["ctd", "depth"], "number"),
    "cruise": (["cruise"], "text"),
    "start": (["when"], "time"),
    "checked": (["flag"], "boolean"),
}
"""Declared fields of the test: path and type."""

CONDITIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "$.depth > 2": lambda metadata: _number(metadata.get("depth")) and metadata["depth"] > 2,
    '$.cruise == "AR7"': lambda metadata: metadata.get("cruise") == "AR7",
    'exists($.ctd.depth) && $.cruise starts with "A"': lambda metadata: (
        isinstance(metadata.get("ctd"), dict)
        and "depth" in metadata["ctd"]
        and isinstance(metadata.get("cruise"), str)
        and metadata["cruise"].startswith("A")
    ),
}


def find(things: Sequence[Thing], request: SearchRequest, identity: Identity, now: datetime) -> list[Thing]:
    """All that match, in their order."""
    found = [thing for thing in things if _visible(thing, request, identity, now) and _matches(thing, request)]
    name, turned = (request.sort or "-id").removeprefix("-"), (request.sort or "-id").startswith("-")
    with_key = [thing for thing in found if key_of(thing, name) is not None]
    without = [thing for thing in found if key_of(thing, name) is None]
    with_key.sort(key=lambda thing: (key_of(thing, name), thing.id), reverse=turned)
    without.sort(key=lambda thing: thing.id, reverse=turned)
    return with_key + without


def count_values(things: Sequence[Thing], name: str, now: datetime) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for thing in things:
        if name == "tags":
            counts.update(thing.tags)
        elif name == "media_type":
            counts[thing.media_type if thing.size is not None else None] += 1
        elif name == "status":
            counts[_status(thing, now)] += 1
        elif name in {"store", "owner"}:
            counts[getattr(thing, name)] += 1
        else:
            counts[field_value(thing, name)] += 1
    return counts


def key_of(thing: Thing, name: str) -> Any:
    if name in {"id", "created_at", "updated_at", "expires_at", "size"}:
        return getattr(thing, name)
    return thing.pid.encode() if name == "pid" else field_value(thing, name)


def field_value(thing: Thing, name: str) -> Any:
    path, kind = FIELDS[name]
    value: Any = thing.metadata
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if kind == "number":
        return value if _number(value) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if not isinstance(value, str):
        return None
    return value if kind == "text" else _time(value)


def words(thing: Thing) -> set[str]:
    texts = [thing.pid, *thing.tags, *thing.identifiers.values(), *_scalars(thing.metadata)]
    if thing.filename is not None and (thing.size is not None or thing.status == "ready"):  # also of bytes that are missing
        texts.append(thing.filename)
    return {word.lower() for text in texts for word in WORD.findall(text)}


def contains(whole: Any, part: Any) -> bool:
    """PostgreSQL's `@>` below the top."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(one, value) for one in whole) for value in part)
    return (type(whole) is type(part) and bool(whole == part)) or (_number(whole) and _number(part) and whole == part)


def like(text: str, pattern: str) -> bool:
    found = "".join(
        ".*" if piece == "*" else "." if piece == "?" else re.escape(piece[-1])
        for piece in re.findall(r"\\[*?\\]|.", pattern, re.DOTALL)
    )
    return re.fullmatch(found, text, re.DOTALL) is not None


def _visible(thing: Thing, request: SearchRequest, identity: Identity, now: datetime) -> bool:
    if thing.status == "deleted" or not may_read(thing, identity, now):
        return False
    status = _status(thing, now)
    past = thing.expires_at is not None and thing.expires_at <= now
    if not request.status:
        return status != "expired" and not past
    if status not in request.status:
        return False
    writes = may_create(identity) and (
        identity.administrator or thing.owner == identity.name or bool({*identity.principals} & {*thing.writers})
    )
    return status != "expired" or writes


def _status(thing: Thing, now: datetime) -> str:
    past = thing.expires_at is not None and thing.expires_at <= now
    return "expired" if past and thing.status in {"pending", "ready", "failed"} else thing.status


def _matches(thing: Thing, request: SearchRequest) -> bool:  # noqa: PLR0911, PLR0912 - one filter after the other
    if request.pid is not None and not like(thing.pid, request.pid):
        return False
    for type, pattern in request.identifiers.items():
        names = dict(thing.identifiers) | ({} if thing.pid_type is None else {thing.pid_type: thing.pid})
        if not any(like(value, pattern) for name, value in names.items() if type in {"*", name}):
            return False
    tags = set(thing.tags)
    if not {*request.tags.all} <= tags or (request.tags.any and not tags & {*request.tags.any}) or tags & {*request.tags.none}:
        return False
    if request.metadata is not msgspec.UNSET and not contains(thing.metadata, msgspec.json.decode(request.metadata)):
        return False
    if request.where is not None and not CONDITIONS[request.where](thing.metadata):
        return False
    for name in ("store", "owner", "access"):
        wanted = getattr(request, name)
        if wanted and getattr(thing, name) not in wanted:
            return False
    if request.media_type and (thing.size is None or not any(like(thing.media_type, each) for each in request.media_type)):
        return False
    if request.checksum is not None and (thing.size is None or thing.digest != request.checksum.lower()):
        return False
    for name in ("size", "created_at", "updated_at", "expires_at"):
        if not _within(getattr(thing, name), getattr(request, name)):
            return False
    if request.q is not None and not _has_words(thing, request.q):
        return False
    return all(_within(field_value(thing, name), bounds, kind=FIELDS[name][1]) for name, bounds in request.fields.items())


def _within(value: Any, bounds: Any, kind: str = "") -> bool:
    for name in ("eq", "gt", "gte", "lt", "lte"):
        bound = getattr(bounds, name)
        if bound is msgspec.UNSET:
            continue
        if kind == "time":
            bound = _time(bound)
        if value is None:
            return False
        one, other = (value.encode(), bound.encode()) if isinstance(value, str) else (value, bound)
        if not {"eq": one == other, "gt": one > other, "gte": one >= other, "lt": one < other, "lte": one <= other}[name]:
            return False
    return True


def _has_words(thing: Thing, q: str) -> bool:
    there = words(thing)
    for piece in q.split():
        wanted = [word.lower() for word in WORD.findall(piece)]
        for number, word in enumerate(wanted, start=1):
            begins = piece.endswith("*") and number == len(wanted)
            if not (any(each.startswith(word) for each in there) if begins else word in there):
                return False
    return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _scalars(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _scalars(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _scalars(inner)]
    return [] if value is None or isinstance(value, bool) else [str(value)]
