"""Changes of metadata at a path: a value set, or taken away, wherever it is nested."""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from mediastore.catalog.errors import RecordInvalid
from mediastore.catalog.merge import decode, encode
from mediastore.catalog.schemas import MetadataEdit, Step

_GONE = object()


def edited(metadata: Raw, *, put: Sequence[MetadataEdit], removed: Sequence[Sequence[Step]]) -> Raw:
    """The metadata with these values put in, in their order, then these paths taken away.

    Objects on the way to a value are made where they are missing. A path that is not there is taken away already. Raises
    `RecordInvalid` where a path leads through something that is neither object nor array, or beyond an array's end.
    """
    root = decode(metadata)
    for edit in put:
        root = _with(root, edit.path, decode(edit.value))
    for path in removed:
        _remove(root, path)
    return encode(root)


def _with(root: Any, path: Sequence[Step], value: Any) -> Any:
    if not path:
        return value
    holder = root
    for depth, step in enumerate(path[:-1]):
        inner = _inner(holder, step, path)
        if inner is _GONE:
            inner = {}
            if isinstance(path[depth + 1], int):
                raise RecordInvalid(
                    f"{_shown(path[: depth + 1])} is not there, so it has no place {path[depth + 1]}", path=list(path)
                )
            _put(holder, step, inner, path)
        holder = inner
    _put(holder, path[-1], value, path)
    return root


def _inner(holder: Any, step: Step, path: Sequence[Step]) -> Any:
    """What is at this step; `_GONE` where nothing is."""
    match holder, step:
        case dict(), str():
            return holder.get(step, _GONE)
        case list(), int():
            return holder[step] if step < len(holder) else _GONE
        case _:
            raise _mismatch(holder, step, path)


def _put(holder: Any, step: Step, value: Any, path: Sequence[Step]) -> None:
    match holder, step:
        case dict(), str():
            holder[step] = value
        case list(), int() if step < len(holder):
            holder[step] = value
        case list(), int() if step == len(holder):
            holder.append(value)
        case list(), int():
            raise RecordInvalid(
                f"{_shown(path)}: the array has {len(holder)} items; a new one goes to place {len(holder)}", path=list(path)
            )
        case _:
            raise _mismatch(holder, step, path)


def _remove(root: Any, path: Sequence[Step]) -> None:
    holder = root
    for step in path[:-1]:
        if not _has(holder, step):
            return
        holder = holder[step]
    if _has(holder, path[-1]):
        del holder[path[-1]]


def _has(holder: Any, step: Step) -> bool:
    if isinstance(step, str):
        return isinstance(holder, dict) and step in holder
    return isinstance(holder, list) and step < len(holder)


def _mismatch(holder: Any, step: Step, path: Sequence[Step]) -> RecordInvalid:
    kind = "an object" if isinstance(holder, dict) else "an array" if isinstance(holder, list) else "a single value"
    wanted = "names are steps in objects, numbers in arrays"
    return RecordInvalid(f"{_shown(path)}: the step {step!r} leads into {kind}; {wanted}", path=list(path))


def _shown(path: Sequence[Step]) -> str:
    return "metadata" + "".join(f"[{step!r}]" for step in path)
