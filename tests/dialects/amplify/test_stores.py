"""Which store of ours a store config of AMPLIfy is, and the other way round."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.dialects.amplify import stores
from mediastore.dialects.amplify.schemas import AmplifyStoreWanted
from mediastore.placement.directory import Place, Service
from mediastore.placement.errors import StoreInvalid

ROOTS = [Path("/srv/first"), Path("/data")]
URL = "https://s3.example.org"
SERVICES = [Service(id=1, name="config", endpoint_url=URL)]


def place(wanted: AmplifyStoreWanted) -> Place:
    """The store that would be made."""
    made = stores.draft(wanted, SERVICES, roots=ROOTS)
    url = URL if made.s3_config else None
    return Place(id=7, name=made.name, kind=made.kind, bucket=made.bucket, prefix="", path=made.path, endpoint_url=url)


def shown(wanted: AmplifyStoreWanted, *, roots: list[Path] = ROOTS) -> AmplifyStoreWanted:
    told = stores.shown(place(wanted), roots=roots)
    return AmplifyStoreWanted(type=told.type, bucket=told.bucket, s3_url=told.s3_url)


texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(bucket=texts)
@pytest.mark.parametrize("type", ["DictStore", "FilesystemStore", "BucketStore"])
def test_what_is_told_of_a_store_leads_to_it_again_and_short_buckets_are_the_same(type: str, bucket: str) -> None:
    if ".." in bucket.split("/"):
        return
    wanted = AmplifyStoreWanted(type=type, bucket=bucket, s3_url=URL if type == "BucketStore" else "")
    try:
        made = place(wanted)
    except StoreInvalid:
        return
    assert len(made.name) <= stores.LONGEST_NAME
    assert stores.find(wanted, [made], roots=ROOTS) == made
    assert stores.find(shown(wanted), [made], roots=ROOTS) == made
    if len(bucket.encode()) * 3 <= 50:
        assert shown(wanted) == wanted


@pytest.mark.parametrize("bucket", ["/" + "long/" * 30 + "x", "/data/" + "long/" * 30 + "x", "long " * 30])
def test_a_long_folder_is_told_so_that_it_is_found_again_whatever_the_roots_are_by_then(bucket: str) -> None:
    wanted = AmplifyStoreWanted(type="FilesystemStore", bucket=bucket)
    assert stores.find(shown(wanted), [place(wanted)], roots=ROOTS) == place(wanted)
    assert shown(wanted, roots=[Path("/elsewhere")]).bucket


@pytest.mark.parametrize("bucket", ["..", "/../x", "a/../../x", "x\x00"])
def test_h14_no_folder_lies_outside_the_roots(bucket: str) -> None:
    with pytest.raises(StoreInvalid):
        stores.folder(bucket, ROOTS)


@given(bucket=st.text(min_size=1, max_size=40))
def test_h14_whatever_is_asked_for_a_folder_lies_below_a_root(bucket: str) -> None:
    try:
        path = Path(stores.folder(bucket, ROOTS))
    except StoreInvalid:
        return
    assert any(path.is_relative_to(root) for root in ROOTS)


def test_stores_of_our_own_go_by_their_names_where_there_are_no_words_for_them() -> None:
    local = Place(id=1, name="local", kind="filesystem", bucket=None, prefix="", path="/srv/first/l", endpoint_url=None)
    prefixed = Place(id=2, name="archive", kind="s3", bucket="b", prefix="p/", path=None, endpoint_url=URL)
    aws = Place(id=3, name="aws", kind="s3", bucket="b", prefix="", path=None, endpoint_url=None)
    for one in (local, prefixed, aws):
        told = stores.shown(one, roots=ROOTS)
        assert (told.bucket, told.s3_url) == (one.name, "")
        wanted = AmplifyStoreWanted(type=told.type, bucket=told.bucket, s3_url=told.s3_url)
        assert stores.find(wanted, [local, prefixed, aws], roots=ROOTS) == one
    plain = Place(id=4, name="plain", kind="s3", bucket="b", prefix="", path=None, endpoint_url=URL + "/")
    told = stores.shown(plain, roots=ROOTS)
    assert (told.bucket, told.s3_url) == ("b", URL + "/")
    wanted = AmplifyStoreWanted(type="BucketStore", bucket="b", s3_url=URL)
    assert stores.find(wanted, [prefixed, aws, plain], roots=ROOTS) == plain
