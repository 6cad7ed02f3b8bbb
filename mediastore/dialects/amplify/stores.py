"""Store configs of AMPLIfy and our stores: which is which, in both directions.

That API knows a store by its type, its bucket and the URL of its S3 service; ours has a name and a place. A store that is made by
this API gets a name of which its bucket can be read again. One that this API has no words for goes by its name: its bucket is it.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from mediastore.dialects.amplify.schemas import AmplifyStore, AmplifyStoreWanted
from mediastore.placement.directory import Place, Service
from mediastore.placement.endpoints import service_of
from mediastore.placement.errors import StoreInvalid
from mediastore.placement.schemas import StoreCreate

KINDS: Mapping[str, str] = MappingProxyType({"BucketStore": "s3", "FilesystemStore": "filesystem", "DictStore": "memory"})
TYPES: Mapping[str, str] = MappingProxyType({kind: type for type, kind in KINDS.items()})
NOT_HERE = frozenset({"HashdirStore", "ZipStore", "SqliteStore"})
PREFIXES: Mapping[str, str] = MappingProxyType({"filesystem": "amplify-fs-", "memory": "amplify-dict-"})
LONG_FOLDER = "amplify-fs_"
"""Begins the name of a store whose bucket is too long to be in it."""
LONGEST_NAME = 63
_PLAIN = re.compile(r"[a-z0-9.-]")
_SPELLED = re.compile(r"_([0-9a-f]{2})")


def kind_of(wanted: AmplifyStoreWanted) -> str:
    """Our kind of this type. Raises `StoreInvalid` for what is not here, and for an S3 URL that is missing or out of place."""
    if wanted.type in NOT_HERE:
        there = ", ".join(KINDS)
        raise StoreInvalid(f"stores of the type {wanted.type} are not kept here; there are {there}", type=wanted.type)
    if wanted.type not in KINDS:
        raise StoreInvalid(f'type "{wanted.type}" not supported; there are {", ".join(KINDS)}', type=wanted.type)
    if wanted.s3_url and wanted.type != "BucketStore":
        raise StoreInvalid("only a BucketStore may include s3_url", type=wanted.type)
    return KINDS[wanted.type]


def find(wanted: AmplifyStoreWanted, places: Sequence[Place], *, roots: Sequence[Path]) -> Place | None:
    """The store that is meant: by its bucket, by where it is, or by its name; the first one made, where several fit."""
    kind = kind_of(wanted)
    alike = [place for place in places if place.kind == kind]
    name = None if kind == "s3" else _name(kind, wanted.bucket)
    path = folder(wanted.bucket, roots) if kind == "filesystem" else None
    ways: list[Callable[[Place], bool]] = [
        lambda place: place.name == name,
        lambda place: place.path is not None and place.path == path,
        lambda place: _is_at(place, wanted.bucket, wanted.s3_url or ""),
        lambda place: not wanted.s3_url and place.name == wanted.bucket,
    ]
    return next((place for fits in ways for place in alike if fits(place)), None)


def draft(wanted: AmplifyStoreWanted, services: Sequence[Service], *, roots: Sequence[Path]) -> StoreCreate:
    """The store to make. Raises `StoreInvalid`."""
    kind = kind_of(wanted)
    if kind == "s3":
        if not wanted.s3_url:
            raise StoreInvalid("a BucketStore must include s3_url: there is no store of this name")
        service = next((one for one in services if one.endpoint_url and same_url(one.endpoint_url, wanted.s3_url)), None)
        if service is None:
            raise StoreInvalid(f"no S3 config with the url {wanted.s3_url!r} was found; create one for this url first")
        name = f"amplify-s3-{_digest(service_of(wanted.s3_url), wanted.bucket)}"
        return StoreCreate(name=name, kind=kind, bucket=wanted.bucket, s3_config=service.name)
    name = _name(kind, wanted.bucket)
    if kind == "memory":
        if len(name) > LONGEST_NAME:
            raise StoreInvalid(f"the bucket {wanted.bucket[:80]!r} of a DictStore is too long a name")
        return StoreCreate(name=name, kind=kind)
    if len(name) > LONGEST_NAME:
        name = f"{LONG_FOLDER}{_digest(wanted.bucket)}"
    return StoreCreate(name=name, kind=kind, path=folder(wanted.bucket, roots))


def shown(place: Place, *, roots: Sequence[Path]) -> AmplifyStore:
    """The store in the words of this API. Where the first root lies on this machine is nobody's business."""
    type, bucket, url = TYPES.get(place.kind, place.kind), place.name, ""
    prefix = PREFIXES.get(place.kind)
    if prefix is not None and place.name.startswith(prefix):
        bucket = _read(place.name.removeprefix(prefix))
    elif place.kind == "s3" and not place.prefix and place.endpoint_url and place.bucket:
        bucket, url = place.bucket, place.endpoint_url
    elif place.name.startswith(LONG_FOLDER) and place.path is not None:
        below = Path(place.path).is_relative_to(roots[0])
        bucket = f"/{Path(place.path).relative_to(roots[0])}" if below else place.path
    return AmplifyStore(pk=place.id, type=type, bucket=bucket, s3_url=url)


def folder(bucket: str, roots: Sequence[Path]) -> str:
    """The folder of a FilesystemStore: the bucket itself where it lies below an allowed root, else below the first of them."""
    if "\x00" in bucket or ".." in bucket.split("/"):
        raise StoreInvalid(f"the bucket {bucket!a} of a FilesystemStore must not hold `..` or U+0000")
    given = Path(os.path.normpath(bucket))
    if any(given != root and given.is_relative_to(root) for root in roots):
        return str(given)
    return str(roots[0] / os.path.normpath(bucket.lstrip("/") or "."))


def same_url(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def config_name(url: str) -> str:
    """Of the S3 config for this URL: that API has one for each."""
    return f"amplify-{_digest(url.rstrip('/'))}"


def _is_at(place: Place, bucket: str, url: str) -> bool:
    if not url or place.endpoint_url is None:
        return False
    return place.bucket == bucket and not place.prefix and same_url(place.endpoint_url, url)


def _name(kind: str, bucket: str) -> str:
    return PREFIXES[kind] + _spelled(bucket)


def _spelled(bucket: str) -> str:
    """In letters that a name may have, each other one as `_` and its bytes in hex."""
    return "".join(
        letter if _PLAIN.fullmatch(letter) else "".join(f"_{byte:02x}" for byte in letter.encode("utf-8", "replace"))
        for letter in bucket
    )


def _read(spelled: str) -> str:
    raw = _SPELLED.sub(lambda match: chr(int(match[1], 16)), spelled)
    return raw.encode("latin-1").decode("utf-8", "replace")


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
