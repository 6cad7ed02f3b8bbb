"""SQL/JSON path conditions, as PostgreSQL writes them out, told apart by what they may cost and by how they may fail."""

import re

from msgspec import Struct

from mediastore.catalog.errors import SearchInvalid

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_PATH = r'\$(?:\.(?:"[0-9]+"|\*)|\[(?:\*|[0-9]+)\])*'
_VALUE = r'(?:"[0-9]+"|-?[0-9]+(?:\.[0-9]+)?|true|false|null)'
_COMPARED = r"(?:==|!=|<=|>=|<|>)"
_PLAIN = re.compile(
    rf"{_PATH} {_COMPARED} {_VALUE}|(?<![0-9.]){_VALUE} {_COMPARED} {_PATH}|exists \({_PATH}\)|{_PATH} starts with \"[0-9]+\""
)
"""Something at a place, held against a value: it looks at no part of a record twice."""
_OF_TIMES = re.compile(r"\.(?:datetime|date|time|time_tz|timestamp|timestamp_tz)\(")
STRICT = "strict "
LONGEST = 10_000
"""Five times what may be sent: names get quotes, and numbers are written out."""


class Condition(Struct, frozen=True, kw_only=True):
    text: str
    plain: str | None
    """What of it has to hold, costs no more than reading a record, and never fails; None where there is no such part."""
    is_plain: bool
    """Whether that is all of it."""
    of_times: bool
    """Whether it reads texts as times."""
    has_variables: bool


def condition(text: str) -> Condition:
    """`text`: as PostgreSQL wrote it out, with all names in quotes. Raises `SearchInvalid`."""
    if len(text) > LONGEST:
        raise SearchInvalid("where: it has a number that is too long", field="where")
    texts: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        texts.append(found[0])
        return f'"{len(texts) - 1}"'

    masked = _TEXT.sub(numbered, text)
    mode = STRICT if masked.startswith(STRICT) else ""
    whole = masked.removeprefix(STRICT)
    plain = [part for part in ([whole] if _is_plain(whole) else _parts(whole)) if _is_plain(part)]
    kept = re.sub(r'"([0-9]+)"', lambda found: texts[int(found[1])], " && ".join(plain))
    return Condition(
        text=text,
        plain=f"{mode}{kept}" if plain else None,
        is_plain=plain == [whole],
        of_times=_OF_TIMES.search(masked) is not None,
        has_variables='$"' in masked,
    )


def _is_plain(masked: str) -> bool:
    """Plain comparisons, and what joins them."""
    return not _PLAIN.sub("", masked).strip("()&|! ")


def _parts(masked: str) -> list[str]:
    """What has to hold together."""
    inner = masked[1:-1]
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(inner):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0 or (depth == 0 and inner.startswith(" || ", at)):
            return []
        if depth == 0 and inner.startswith(" && ", at):
            parts.append(inner[begin:at])
            begin = at + 4
    return [*parts, inner[begin:]] if masked.startswith("(") and masked.endswith(")") else []
