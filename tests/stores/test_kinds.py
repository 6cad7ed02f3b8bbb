from pathlib import Path

import pytest

from stores.config import S3Access, StoreConfig
from stores.errors import StoreMisconfigured
from stores.filesystem import FilesystemStore
from stores.kinds import build, load_kinds
from stores.memory import MemoryStore
from stores.s3 import S3Store

ACCESS = S3Access(endpoint_url="http://127.0.0.1:1", access_key="KEY", secret_key="SECRET")


def test_the_installed_kinds_are_found_and_built(tmp_path: Path) -> None:
    kinds = load_kinds()
    assert {"filesystem", "memory", "s3"} <= set(kinds)
    assert isinstance(build(StoreConfig(name="a", kind="filesystem", path=str(tmp_path)), kinds), FilesystemStore)
    assert isinstance(build(StoreConfig(name="b", kind="memory"), kinds), MemoryStore)
    options = {"checksums": False, "conditional_writes": False}
    store = build(StoreConfig(name="c", kind="s3", bucket="bucket", s3=ACCESS, options=options), kinds)
    assert isinstance(store, S3Store)
    assert not store.features.create_if_absent


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (StoreConfig(name="x", kind="tape"), "filesystem, memory, s3"),
        (StoreConfig(name="x", kind="filesystem"), "`path`"),
        (StoreConfig(name="x", kind="filesystem", path="/tmp", bucket="b"), "`bucket`"),
        (StoreConfig(name="x", kind="memory", path="/tmp"), "`path`"),
        (StoreConfig(name="x", kind="memory", options={"size": 1}), "`size`"),
        (StoreConfig(name="x", kind="s3", s3=ACCESS), "`bucket`"),
        (StoreConfig(name="x", kind="s3", bucket="b"), "`s3`"),
        (StoreConfig(name="x", kind="s3", bucket="b", s3=ACCESS, options={"checksum": True}), "`checksum`.*`conditional_writes`"),
        (StoreConfig(name="x", kind="s3", bucket="b", s3=ACCESS, options={"checksums": "yes"}), "checksums"),
        (StoreConfig(name="x", kind="s3", bucket="b", s3=S3Access(access_key="KEY")), "`secret_key`"),
        (StoreConfig(name="x", kind="memory", prefix="no-slash"), "`/`"),
        (StoreConfig(name="x", kind="memory", prefix="../"), "`..`"),
    ],
)
def test_a_wrong_configuration_is_refused_by_what_is_wrong(config: StoreConfig, said: str) -> None:
    with pytest.raises(StoreMisconfigured, match=said) as raised:
        build(config, load_kinds())
    assert "SECRET" not in str(raised.value)


def test_h14_no_store_shows_its_keys() -> None:
    store = build(StoreConfig(name="c", kind="s3", bucket="bucket", s3=ACCESS), load_kinds())
    assert "SECRET" not in f"{store!r} {ACCESS!r} {StoreConfig(name='c', kind='s3', s3=ACCESS)!r}"
