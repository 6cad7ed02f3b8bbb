"""The rules of access, against a table that was written without looking at them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.accounts.access import Access, is_public, may_create, may_read, may_write, owns, require
from mediastore.accounts.errors import LoginRequired, NotAllowed
from mediastore.accounts.schemas import NOBODY, Identity, Role, Scope

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


@dataclass(frozen=True)
class Record:
    owner: str = "olga"
    access: Access = "private"
    readers: list[str] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
    public_at: datetime | None = None


# One person, and two of her groups; the others are everyone else.
NAMES = ("olga", "rita")
PRINCIPALS = ("olga", "rita", "group:ocean", "group:ice", "group:olga", "ocean")
principals = st.lists(st.sampled_from(PRINCIPALS), max_size=3, unique=True)
records = st.builds(
    Record,
    owner=st.sampled_from(NAMES),
    access=st.sampled_from(("private", "internal", "public")),
    readers=principals,
    writers=principals,
    public_at=st.sampled_from((None, PAST, NOW, FUTURE)),
)
identities = st.one_of(
    st.just(NOBODY),
    st.builds(
        Identity,
        name=st.sampled_from((*NAMES, "ocean")),
        role=st.sampled_from(("administrator", "editor", "reader")),
        groups=st.sampled_from(((), ("ocean",), ("ocean", "ice"), ("olga",))),
        scopes=st.lists(st.sampled_from(("read", "write", "admin")), max_size=3, unique=True).map(tuple),
    ),
)


def is_open(record: Record) -> bool:
    """An embargo, where there is one, is all that matters: before its end nothing is public, after it everything is."""
    if record.public_at is not None:
        return record.public_at <= NOW
    return record.access == "public"


def listed(names: list[str], who: Identity) -> bool:
    for name in names:
        if name.startswith("group:"):
            if name[len("group:") :] in who.groups:
                return True
        elif name == who.name:
            return True
    return False


def runs_the_place(who: Identity) -> bool:
    return who.name != "" and who.role == "administrator" and "admin" in who.scopes


def should_read(record: Record, who: Identity) -> bool:
    if is_open(record):
        return True
    if who.name == "" or "read" not in who.scopes:
        return False
    reasons = [
        record.access == "internal",
        record.owner == who.name,
        runs_the_place(who),
        listed(record.readers, who),
        listed(record.writers, who),
    ]
    return True in reasons


def should_write(record: Record, who: Identity) -> bool:
    if who.name == "" or who.role == "reader" or "write" not in who.scopes:
        return False
    return record.owner == who.name or runs_the_place(who) or listed(record.writers, who)


@given(record=records, who=identities)
def test_reading_is_decided_as_the_table_says(record: Record, who: Identity) -> None:
    assert may_read(record, who, NOW) == should_read(record, who)
    assert is_public(record, NOW) == is_open(record)


@given(record=records, who=identities)
def test_writing_is_decided_as_the_table_says(record: Record, who: Identity) -> None:
    assert may_write(record, who) == should_write(record, who)


@given(record=records, who=identities)
def test_owning_is_for_the_owner_and_for_administrators(record: Record, who: Identity) -> None:
    assert owns(record, who) == (who.name != "" and (record.owner == who.name or runs_the_place(who)))


@given(record=records)
def test_nobody_reads_what_is_not_public_and_writes_nothing(record: Record) -> None:
    assert may_read(record, NOBODY, NOW) == is_open(record)
    assert not may_write(record, NOBODY)
    assert not owns(record, NOBODY)


@given(record=records, who=identities)
def test_with_all_scopes_writing_includes_reading(record: Record, who: Identity) -> None:
    if may_write(record, who) and "read" in who.scopes:
        assert may_read(record, who, NOW)


@given(record=records, who=identities, fewer=st.sets(st.sampled_from(("read", "write", "admin"))))
def test_fewer_scopes_never_allow_more(record: Record, who: Identity, fewer: set[Scope]) -> None:
    less = Identity(name=who.name, role=who.role, groups=who.groups, scopes=tuple(s for s in who.scopes if s in fewer))
    assert may_read(record, who, NOW) or not may_read(record, less, NOW)
    assert may_write(record, who) or not may_write(record, less)


def test_an_embargo_ends_at_its_very_moment() -> None:
    record = Record(access="public", public_at=NOW)
    assert not may_read(record, NOBODY, NOW - timedelta(microseconds=1))
    assert may_read(record, NOBODY, NOW)


def test_a_group_is_no_user_and_a_user_no_group() -> None:
    assert not may_read(Record(readers=["ocean"]), Identity(name="rita", groups=("ocean",)), NOW)
    assert not may_read(Record(readers=["group:rita"]), Identity(name="rita"), NOW)
    assert may_read(Record(readers=["group:ocean"]), Identity(name="rita", groups=("ocean",)), NOW)


def test_a_reader_never_writes_even_what_is_its_own() -> None:
    reader = Identity(name="olga", role="reader", scopes=("read", "write", "admin"))
    assert not may_write(Record(owner="olga", writers=["olga"]), reader)
    assert not may_create(reader)


ROLES: tuple[Role, ...] = ("administrator", "editor", "reader")
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")


@pytest.mark.parametrize(
    ("role", "scopes"), list(product(ROLES, [SCOPES, ("read",), ("write",), ("read", "write"), ("admin",), ()]))
)
def test_what_a_role_and_its_scopes_may_do_at_all(role: Role, scopes: tuple[Scope, ...]) -> None:
    who = Identity(name="rita", role=role, scopes=scopes)
    expected = {
        "read": "read" in scopes,
        "write": "write" in scopes and role in {"editor", "administrator"},
        "admin": "admin" in scopes and role == "administrator",
    }
    for scope in SCOPES:
        if expected[scope]:
            require(who, scope, to="try")
        else:
            with pytest.raises(NotAllowed, match="rita may not try"):
                require(who, scope, to="try")


def test_nobody_is_asked_to_log_in() -> None:
    for scope in SCOPES:
        with pytest.raises(LoginRequired, match="log in to try"):
            require(NOBODY, scope, to="try")


def test_a_steward_owns_what_its_group_may_write_and_nothing_else() -> None:
    steward = Identity(name="rita", role="editor", groups=("ocean",), scopes=SCOPES, stewards=("ocean",))
    assert owns(Record(writers=["group:ocean"]), steward)
    assert not owns(Record(readers=["group:ocean"], writers=["rita", "group:ice"]), steward)
    assert not owns(Record(writers=["group:ocean"]), Identity(name="rita", role="editor", groups=("ocean",), scopes=SCOPES))
