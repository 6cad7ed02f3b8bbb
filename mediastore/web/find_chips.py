"""What narrows a search, each with the address of the search without it."""

from msgspec import Struct

from mediastore.web.find_address import FIELD, Address

NAMES = {
    "status": "status",
    "store": "store",
    "owner": "owner",
    "media_type": "type",
    "tag": "tag",
    "any_tag": "one of the tags",
    "no_tag": "without the tag",
    "min_size": "at least",
    "max_size": "at most",
    "created_from": "created from",
    "created_to": "created until",
    "where": "where",
}
SIGNS = {"is": "is", "min": "at least", "max": "at most"}


class Chip(Struct, frozen=True, kw_only=True):
    name: str
    value: str
    without: str


def chips(asked: Address) -> list[Chip]:
    return [Chip(name=_name(name), value=value, without=asked.without((name, value))) for name, value in asked.filters]


def _name(name: str) -> str:
    found = FIELD.fullmatch(name)
    return f"{found[2]} {SIGNS[found[1]]}" if found else NAMES[name]
