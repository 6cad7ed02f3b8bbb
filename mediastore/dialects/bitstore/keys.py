"""Where files lie: store keys by the pattern that is a setting, and names that can't leave their place."""

import re
from string import Formatter
from urllib.parse import unquote

from msgspec import Struct

from mediastore.errors import SettingInvalid
from stores.errors import KeyInvalid
from stores.keys import check_key

NAMES = ("owner", "dataset", "path", "basename", "dirname", "extension", "md5_hex")
SETTING = "MEDIASTORE_BITSTORE_KEY_PATTERN"
MOST_LAYERS = 8
"""How often a name may be percent-encoded over."""


class File(Struct, frozen=True, kw_only=True):
    """A file of a dataset, whose names were checked."""

    owner: str
    dataset: str
    path: str
    md5_hex: str

    @property
    def basename(self) -> str:
        return self.path.rpartition("/")[2]


def checked_file(*, owner: str, dataset: str, path: str, md5_hex: str) -> File:
    """Raises `KeyInvalid` for names that are not within a dataset."""
    if "/" in dataset:
        raise KeyInvalid(f"the dataset {dataset[:80]!r} can't have a slash in its name")
    for name in (owner, dataset, path):
        _check(name)
    return File(owner=owner, dataset=dataset, path=path, md5_hex=md5_hex)


def _check(name: str) -> None:
    """Also as clients read it that put it into a URL as it is."""
    for _ in range(MOST_LAYERS):
        check_key(name)
        read = unquote(name)
        if read == name:
            return
        name = read
    raise KeyInvalid(f"{name[:80]!r} is percent-encoded too often")


class KeyPattern:
    """A pattern that gives each owner a folder, so that nobody learns from a key what others have."""

    def __init__(self, text: str) -> None:
        """Raises `SettingInvalid`."""
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise SettingInvalid(f"{SETTING}: {text!r} can't be read: {error}", setting=SETTING) from error
        for _, name, how, conversion in parts:
            if name is not None and (name not in NAMES or how or conversion):
                known = ", ".join(f"{{{known}}}" for known in NAMES)
                raise SettingInvalid(f"{SETTING}: {{{name}}} is not one of {known}", setting=SETTING)
        found = re.match(r"((?:[^{}/]+/)*)\{owner\}/.", text)
        if found is None:
            raise SettingInvalid(
                f"{SETTING}: {text!r} has to begin with {{owner}}/, or with folders and then {{owner}}/", setting=SETTING
            )
        self.before = found[1]
        """What stands before the owner's folder."""
        self._text = text
        try:
            self.key(File(owner="o", dataset="d", path="p/b.e", md5_hex="0" * 32))
        except KeyInvalid as error:
            raise SettingInvalid(f"{SETTING}: {error.message}", setting=SETTING) from error

    def key(self, file: File) -> str:
        """The key of a file, within its owner's folder. Raises `KeyInvalid`."""
        _, dot, extension = file.basename.rpartition(".")
        key = self._text.format(
            owner=file.owner,
            dataset=file.dataset,
            path=file.path,
            basename=file.basename,
            dirname=file.path.rpartition("/")[0],
            extension=dot + extension if dot else "",
            md5_hex=file.md5_hex,
        )
        key = check_key(re.sub("/+", "/", key).strip("/"))
        if not key.startswith(f"{self.before}{file.owner}/"):
            raise KeyInvalid(f"the key {key[:80]!r} would lie outside of {file.owner}'s folder")
        return key
