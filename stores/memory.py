"""Objects in this process's memory: for scratch and tests, gone when it ends."""

from typing import IO, Self

import msgspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from stores.config import StoreConfig
from stores.errors import ObjectExists, ObjectNotFound
from stores.fsspec_store import FsspecStore
from stores.options import check_fields, read_options
from stores.protocol import Features, ObjectInfo


class MemoryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None."""


class MemoryStore(FsspecStore):
    """Objects in a memory of its own, which another store, even of the same name, does not see."""

    spool_bytes = 0

    def __init__(self, *, prefix: str = "") -> None:
        # The default dictionary of MemoryFileSystem is one for the whole process.
        super().__init__(MemoryFileSystem(global_store=False, skip_instance_cache=True), root="/" + prefix)

    @classmethod
    def from_config(cls, config: StoreConfig) -> Self:
        check_fields(config, required=())
        read_options(config, MemoryOptions)
        return cls(prefix=config.prefix)

    @property
    def features(self) -> Features:
        return msgspec.structs.replace(super().features, durable=False, create_if_absent=True, nested_keys=True)

    def publish(self, key: str, spool: IO[bytes], size: int) -> ObjectInfo:
        spool.seek(0)
        file = MemoryFile(self.filesystem, self.path(key), spool.read(size))
        # One step of the interpreter, whatever other threads do: the first file stays.
        if self.filesystem.store.setdefault(self.path(key), file) is not file:
            raise ObjectExists(f"There is an object at {key!r} already", key=key)
        return self.info(key)

    def info(self, key: str) -> ObjectInfo:
        file = self.filesystem.store.get(self.path(key))
        if file is None:
            raise ObjectNotFound(f"There is no object at {key!r}", key=key)
        return ObjectInfo(key=key, size=file.size, modified_at=file.modified)

    def _open(self) -> None:
        """A memory is always there."""

    def _delete(self, key: str) -> None:
        self.filesystem.store.pop(self.path(key), None)
