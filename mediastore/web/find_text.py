"""How one text in one box is understood: as a PID or what PIDs look like, as an identifier, or as words."""

import re
from typing import Any, Literal

from msgspec import Struct

from mediastore.catalog.errors import SearchInvalid
from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import SearchRequest
from mediastore.web.session import Visitor

Kind = Literal["everything", "pid", "identifier", "words"]
IDENTIFIER = re.compile(r"(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62}):(.+)", re.DOTALL)
LONGEST_PID = 255
BEGINNING = 3
"""Characters from which on it is worth a try that PIDs begin so."""


class Meaning(Struct, frozen=True, kw_only=True):
    """What the text asks for, as the API's parameters. `guessed`: nobody said that it means this."""

    text: str
    kind: Kind
    given: dict[str, Any] = {}
    guessed: bool = False

    @property
    def is_pattern(self) -> bool:
        return self.kind == "pid" and is_wild(self.text)


async def meaning_of(text: str, kind: str, *, search: Search, identifier_types: IdentifierTypes, visitor: Visitor) -> Meaning:
    """`kind` is what somebody chose, or nothing: then a record with this very PID comes first, known types, and wildcards."""
    if not text:
        return Meaning(text=text, kind="everything")
    if kind in {"pid", "identifier", "words"}:
        return _meant(text, kind, guessed=False)  # type: ignore[arg-type]  # one of the three
    if len(text) <= LONGEST_PID and "\x00" not in text:
        exact = SearchRequest(pid=literal(text), limit=1)
        if (await search.run(exact, caller=visitor.caller)).items:
            return Meaning(text=text, kind="pid", given={"pid": exact.pid}, guessed=True)
    if (found := IDENTIFIER.fullmatch(text)) and (found[1] == "*" or await identifier_types.is_known(found[1])):
        return _meant(text, "identifier", guessed=True)
    if is_wild(text) and not re.search(r"\s", text):
        return _meant(text, "pid", guessed=True)
    return _meant(text, "words", guessed=True)


def as_words(meaning: Meaning) -> Meaning | None:
    """What to try when PIDs like this were only guessed at and there are none: `plank*` may be how a word begins."""
    return _meant(meaning.text, "words", guessed=True) if meaning.guessed and meaning.is_pattern else None


def beginning(text: str) -> str | None:
    """PIDs that begin with what was typed, as a pattern; None where it can't be how one begins."""
    if not BEGINNING <= len(text) < LONGEST_PID or re.search(r"\s", text) or is_wild(text):
        return None
    return f"{literal(text)}*"


def words_beginning(text: str) -> str | None:
    """Words that begin with those that were typed."""
    words = re.findall(r"[^\W_]+", text)
    wanted = " ".join(f"{word}*" for word in words)
    return wanted if words and "*" not in text and len(wanted) <= 500 else None


def is_wild(text: str) -> bool:
    return "*" in text or "?" in text


def literal(text: str) -> str:
    """A pattern that only this text is like."""
    return re.sub(r"([\\*?])", r"\\\1", text)


def _meant(text: str, kind: Literal["pid", "identifier", "words"], *, guessed: bool) -> Meaning:
    if kind == "identifier" and not IDENTIFIER.fullmatch(text):
        raise SearchInvalid(f"{text!r} is no TYPE:VALUE; write for example CRUISE:AR77", field="q")
    given: dict[Kind, dict[str, Any]] = {"pid": {"pid": text}, "identifier": {"identifier": [text]}, "words": {"q": text}}
    return Meaning(text=text, kind=kind, given=given[kind], guessed=guessed)
