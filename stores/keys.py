"""Which texts can name an object, in every store alike."""

import unicodedata

from stores.errors import KeyInvalid, StoreMisconfigured

MAX_KEY_BYTES = 1024
"""S3's limit of a key, the store's prefix included."""
MAX_PART_BYTES = 255
"""What a file name may hold in the usual file systems."""
TEMPORARY = ".tmp-"
"""How the names of unfinished writes begin where they need a name. No part of a key may."""


def check_key(key: str, *, prefix: str = "") -> str:
    """The key, unchanged, when it can name an object below `prefix` in any store; else raises `KeyInvalid`.

    1 to 1,024 bytes of UTF-8 with the prefix; parts between slashes of 1 to 255 bytes, none of them `.`, `..` or beginning with
    `.tmp-`; no slash at either end; no control characters, backslashes, lone surrogates or noncharacters U+FFFE and U+FFFF
    (which XML, and so S3's bulk delete, can't carry).
    """
    if fault := _fault(key, limit=MAX_KEY_BYTES - len(prefix.encode("utf-8", "replace"))):
        raise KeyInvalid(f"The key {key[:80]!r} can't name an object: {fault}", key=key)
    return key


def is_key(key: str, *, prefix: str = "") -> bool:
    """Whether `check_key` would let it pass."""
    return _fault(key, limit=MAX_KEY_BYTES - len(prefix.encode("utf-8", "replace"))) is None


def check_prefix(prefix: str) -> str:
    """The prefix of a store, unchanged: empty, or parts as in a key and a `/` at the end. Else raises `StoreMisconfigured`."""
    if not prefix:
        return prefix
    fault = "it must end in `/`" if not prefix.endswith("/") else _fault(prefix[:-1], limit=MAX_KEY_BYTES // 2)
    if fault:
        raise StoreMisconfigured(f"The prefix {prefix[:80]!r} can't hold a store: {fault}")
    return prefix


def _fault(key: str, *, limit: int) -> str | None:
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return "it must be valid Unicode, without lone surrogates"
    if not 1 <= length <= limit:
        return f"it must be 1 to {limit} bytes of UTF-8, and is {length}"
    if any(character in "\\\ufffe\uffff" or unicodedata.category(character) == "Cc" for character in key):
        return "it may hold no control characters, backslashes or noncharacters"
    faults = (_fault_of_part(part) for part in key.split("/"))
    return next(filter(None, faults), None)


def _fault_of_part(part: str) -> str | None:
    if part in {"", ".", ".."}:
        return "no part between slashes may be empty, `.` or `..`"
    if part.startswith(TEMPORARY):
        return f"no part may begin with `{TEMPORARY}`, which marks unfinished writes"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"each part between slashes may have {MAX_PART_BYTES} bytes at most"
    return None
