"""Places in metadata, as people write them: `cruise`, `ctd.casts[0].depth`, `"a.b".c`."""

import re

import msgspec
from msgspec import Raw

from mediastore.catalog.schemas import MetadataEdit
from mediastore.client.cli.told import unfit

STEP = re.compile(r'"(?:[^"\\]|\\.)*"|\[\d+\]|[^.\[\]="]+')


def path_of(text: str, *, option: str) -> list[str | int]:
    """Names of members, and places in arrays in brackets. Exits with code 2 for what is none."""
    path, end = _path(text, option=option)
    if end != len(text):
        raise _wrong(text, option=option)
    return path


def edit_of(text: str, *, option: str) -> MetadataEdit:
    """`path=value`. The value is JSON, or else the text as it is."""
    path, end = _path(text, option=option)
    if text[end : end + 1] != "=":
        raise _wrong(text, option=option)
    value = text[end + 1 :].encode()
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError:
        value = msgspec.json.encode(text[end + 1 :])
    return MetadataEdit(path=path, value=Raw(value))


def _path(text: str, *, option: str) -> tuple[list[str | int], int]:
    steps: list[str | int] = []
    end = 0
    while found := STEP.match(text, end):
        step = found[0]
        if step.startswith("["):
            steps.append(int(step[1:-1]))
        else:
            try:
                steps.append(msgspec.json.decode(step, type=str) if step.startswith('"') else step)
            except msgspec.DecodeError as error:
                raise _wrong(text, option=option) from error
        end = found.end()
        if text[end : end + 1] == ".":
            end += 1
        elif text[end : end + 1] != "[":
            return steps, end
    raise _wrong(text, option=option)


def _wrong(text: str, *, option: str) -> Exception:
    value = "=VALUE" if option == "--set" else ""
    return unfit(f'{text!r} is no place in metadata; it looks like ctd.casts[0].depth{value}, or "a.b".c{value}', option=option)
