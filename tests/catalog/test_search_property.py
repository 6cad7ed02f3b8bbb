"""Search against a naive one, over random records, filters, orders, pages and people: never a difference."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog import search_queries
from mediastore.catalog.field_queries import index_name
from mediastore.catalog.field_values import Field
from mediastore.catalog.filter_queries import field_expression
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import Count, FieldRange, SearchRequest, SizeRange, TagFilter, TimeRange
from mediastore.catalog.turns import Turns
from mediastore.database import Connection, _prepare, translated
from tests.catalog.naive_search import CONDITIONS, FIELDS, Thing, count_values, find
from tests.database import DatabaseServer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MOMENTS = [NOW - timedelta(days=days) for days in (-400, -1, 0, 1, 400)]
PEOPLE = ["alice", "bob", "carol"]
PRINCIPALS = [*PEOPLE, "group:lab", "group:alice"]
TAGS = ["raw", "night", "a b", "50%", "é"]
DIGESTS = ["0123abcd", "ffff0000"]

IDENTITIES = [
    Identity(name=""),
    Identity(name="alice", role="editor", scopes=("read", "write")),
    Identity(name="bob", role="reader", groups=("lab",), scopes=("read", "write")),
    Identity(name="carol", role="editor", groups=("lab", "alice"), scopes=("read",)),
    Identity(name="carol", role="editor", scopes=("write",)),
    Identity(name="admin", role="administrator", scopes=ALL_SCOPES),
    Identity(name="admin", role="administrator", scopes=("read",)),
    Identity(name="dave", role="editor", scopes=ALL_SCOPES),
]

names = st.text("ab_%*?\\-Z9é", min_size=1, max_size=6)
numbers = st.sampled_from([-1, 0, 1, 2, 2.5, 3, 1e15, 12345678901234567890])
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.sampled_from(["AR7", "AR77", "ar7", "", "É x", "2", "2024-02-29", "2024-02-30"])
)
times = st.sampled_from(
    [
        "2024-02-29",
        "2024-02-30",
        "2024-02-29T12:00:00Z",
        "2024-02-29 11:00:00.5+01:00",
        "2024",
        "12:00",
        "2024-02-29T12:00",
        7,
        None,
    ]
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "depth": scalars,
        "cruise": scalars,
        "when": times,
        "flag": scalars,
        "ctd": st.one_of(scalars, st.fixed_dictionaries({}, optional={"depth": numbers}), st.lists(scalars, max_size=2)),
        "list": st.lists(scalars, max_size=3),
    },
)


@st.composite
def records(draw: st.DrawFn) -> list[Thing]:
    pids = draw(st.lists(names, min_size=1, max_size=12, unique=True))
    return [
        Thing(
            id=number,
            pid=pid,
            pid_type=draw(st.sampled_from([None, None, "T", "U"])),
            identifiers=draw(st.dictionaries(st.sampled_from(["T", "U", "V"]), names, max_size=2)),
            metadata=draw(metadata),
            tags=draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=3)),
            owner=draw(st.sampled_from(PEOPLE)),
            access=draw(st.sampled_from(["private", "internal", "public"])),
            readers=draw(st.lists(st.sampled_from(PRINCIPALS), unique=True, max_size=2)),
            writers=draw(st.lists(st.sampled_from(PRINCIPALS), unique=True, max_size=2)),
            public_at=draw(st.sampled_from([None, None, *MOMENTS])),
            store=draw(st.sampled_from(["here", "there"])),
            status=draw(st.sampled_from(["pending", "ready", "ready", "expired", "deleted", "failed", "lost"])),
            expires_at=draw(st.sampled_from([None, None, *MOMENTS])),
            created_at=draw(st.sampled_from(MOMENTS)),
            updated_at=draw(st.sampled_from(MOMENTS)),
            size=draw(st.sampled_from([None, 0, 7, 7, 2**40])),
            media_type=draw(st.sampled_from(["text/csv", "image/png", "image/p_g"])),
            filename=draw(st.sampled_from([None, "cast7.DAT", "É.zip"])),
            digest=draw(st.sampled_from(DIGESTS)),
        )
        for number, pid in enumerate(pids, start=1)
    ]


def ranges(kind: type[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    bounds = st.dictionaries(st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)
    return bounds.map(lambda given: kind(**given))


FIELD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": numbers,
    "text": st.sampled_from(["AR7", "AR77", "B", "", "É x"]),
    "time": st.sampled_from(["2024-02-29", "2024-02-29T12:00:00Z", "2024-02-29T10:00:00.5Z"]),
    "boolean": st.booleans(),
}
SORTS = ["pid", "created_at", "updated_at", "expires_at", "size", *FIELDS]
FACETS = ["tags", "store", "media_type", "owner", "status", *FIELDS]

FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "pid": names,
    "identifiers": st.dictionaries(st.sampled_from(["T", "U", "V", "*"]), names, min_size=1, max_size=2),
    "tags": st.builds(
        TagFilter, **{name: st.lists(st.sampled_from([*TAGS, "none"]), max_size=2) for name in ("all", "any", "none")}
    ),
    "metadata": metadata.map(lambda value: msgspec.Raw(msgspec.json.encode(value))),
    "where": st.sampled_from(list(CONDITIONS)),
    "store": st.lists(st.sampled_from(["here", "there", "nowhere"]), min_size=1, max_size=2),
    "owner": st.lists(st.sampled_from([*PEOPLE, "nobody"]), min_size=1, max_size=2),
    "access": st.lists(st.sampled_from(["private", "internal", "public"]), min_size=1, max_size=2),
    "status": st.lists(st.sampled_from(["pending", "ready", "expired", "failed", "lost"]), min_size=1, max_size=3),
    "media_type": st.lists(st.sampled_from(["text/csv", "image/*", "image/p_g", "*/p?g"]), min_size=1, max_size=2),
    "size": ranges(SizeRange, st.sampled_from([0, 7, 8, 2**40])),
    "checksum": st.sampled_from([*DIGESTS, "0123ABCD", "12341234"]),
    "created_at": ranges(TimeRange, st.sampled_from(MOMENTS)),
    "updated_at": ranges(TimeRange, st.sampled_from(MOMENTS)),
    "expires_at": ranges(TimeRange, st.sampled_from(MOMENTS)),
    "q": st.sampled_from(["raw", "NIGHT a", "cast7 dat", "ar*", "é", "2.5", "Z9*", "a_b*", "ar7 ar77"]),
    "fields": st.sampled_from(list(FIELDS)).flatmap(
        lambda name: ranges(FieldRange, FIELD_VALUES[FIELDS[name][1]]).map(lambda bounds: {name: bounds})
    ),
}


@st.composite
def requests(draw: st.DrawFn) -> SearchRequest:
    chosen = draw(st.lists(st.sampled_from(list(FILTERS)), unique=True, max_size=2))
    sort = draw(st.one_of(st.none(), st.sampled_from([f"{sign}{name}" for name in SORTS for sign in ("", "-")])))
    filters = {name: draw(FILTERS[name]) for name in chosen}
    return SearchRequest(**filters, sort=sort, limit=draw(st.sampled_from([1, 3, 100])))


class OneConnection:
    """A database whose transactions are savepoints of one that the test takes back."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        yield self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        with translated():
            async with self._connection.transaction():
                yield self._connection


class Scene:
    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(self._connect(url))
        self.search = Search(OneConnection(self.connection), timeout_s=60, count_timeout_s=60, turns=Turns(), clock=lambda: NOW)  # type: ignore[arg-type]  # what a database is asked for here

    async def _connect(self, url: str) -> "asyncpg.Connection[asyncpg.Record]":
        connection = await asyncpg.connect(url)
        await _prepare(connection)
        await connection.execute("INSERT INTO store (name, kind) VALUES ('here', 'memory'), ('there', 'memory')")
        await connection.execute("INSERT INTO identifier_type (name, pattern) VALUES ('T', '.*'), ('U', '.*'), ('V', '.*')")
        for name, (path, kind) in FIELDS.items():
            id = await connection.fetchval(
                "INSERT INTO metadata_field (name, path, type) VALUES ($1, $2, $3) RETURNING id", name, path, kind
            )
            expression = field_expression(Field(name=name, path=path, type=kind), metadata="metadata")  # type: ignore[arg-type]  # one of the words above
            await connection.execute(f"CREATE INDEX {index_name(id)} ON media ({expression}, id) WHERE deleted_at IS NULL")
        return connection

    async def insert(self, things: list[Thing]) -> None:
        """As services write them: the record with its identifiers, then the object, then the pointer."""
        given = [msgspec.to_builtins(thing) for thing in things]
        await self.connection.execute(
            """
            WITH given AS (SELECT * FROM jsonb_to_recordset($1) AS x (id bigint, pid text, pid_type text, identifiers jsonb,
                metadata jsonb, tags text[], owner text, access text, readers text[], writers text[], public_at timestamptz,
                store text, expires_at timestamptz, created_at timestamptz, updated_at timestamptz)
            ), new AS (
                INSERT INTO media (id, pid, pid_type, metadata, tags, owner, access, readers, writers, public_at, store, status,
                    expires_at, created_at, updated_at) OVERRIDING SYSTEM VALUE
                SELECT g.id, pid, pid_type, metadata, tags, owner, access, readers, writers, public_at, s.id, 'pending',
                    expires_at, g.created_at, g.updated_at FROM given g JOIN store s ON s.name = g.store RETURNING id
            )
            INSERT INTO identifier (media, type, value, is_unique)
            SELECT new.id, i.key, i.value, false FROM new JOIN given USING (id), jsonb_each_text(given.identifiers) AS i
            """,
            given,
        )
        await self.connection.execute(
            """
            INSERT INTO stored_object (id, media, version, store, key, size, media_type, filename, checksums, state, stored_at)
            OVERRIDING SYSTEM VALUE
            SELECT x.id, x.id, 1, m.store, x.id::text, coalesce(x.size, 9), x.media_type, x.filename,
                jsonb_build_object('md5', jsonb_build_object('value', x.digest)), 'stored', now()
            FROM jsonb_to_recordset($1) AS x (id bigint, size bigint, media_type text, filename text, digest text)
                JOIN media m ON m.id = x.id
            """,
            given,
        )
        # A record without content that anybody sees: with none at all, or with bytes that are not there any more.
        await self.connection.execute("UPDATE stored_object SET state = 'missing' WHERE id = ANY ($1)", _empty(things))
        await self.connection.execute(
            """
            UPDATE media SET version = 1, status = x.status, current_object = CASE WHEN x.size IS NULL AND x.status <> 'ready'
                THEN NULL ELSE media.id END, deleted_at = CASE x.status WHEN 'deleted' THEN now() END
            FROM jsonb_to_recordset($1) AS x (id bigint, status text, size bigint) WHERE media.id = x.id
            """,
            given,
        )

    async def compare(self, things: list[Thing], request: SearchRequest, identity: Identity) -> None:
        caller = Caller(identity=identity)
        expected = find(things, request, identity, NOW)
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self.search.run(msgspec.structs.replace(request, cursor=cursor), caller=caller)
            found += [item.pid for item in page.items]
            cursor = page.next
            if cursor is None:
                break
            assert len(page.items) == request.limit
            assert len(found) <= len(expected)
        assert found == [thing.pid for thing in expected]
        both = msgspec.structs.replace(request, count=True, facets=FACETS, facet_limit=1000)
        page = await self.search.run(both, caller=caller)
        assert page.count == Count(value=len(expected), exact=True)
        assert page.facets is not msgspec.UNSET
        for name in FACETS:
            counted = {_shown(item.value, name): item.count for item in page.facets[name]}
            assert counted == dict(count_values(expected, name, NOW)), name


def _shown(value: Any, name: str) -> Any:
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    return datetime.fromisoformat(value) if name in FIELDS and FIELDS[name][1] == "time" and value is not None else value


def _empty(things: list[Thing]) -> list[int]:
    return [thing.id for thing in things if thing.size is None]


@pytest.fixture(scope="module")
def scene(database_server: DatabaseServer, template_database: str) -> Iterator[Scene]:
    with database_server.database(template=template_database) as url:
        made = Scene(url)
        yield made
        made.runner.run(made.connection.close())
        made.runner.close()


@pytest.mark.parametrize("looks", ["as it is", "near ends early", "by indexes"])
def test_search_finds_what_a_naive_one_finds(scene: Scene, looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if looks == "near ends early":
        monkeypatch.setattr(search_queries, "NEAR", 2)
        monkeypatch.setattr(search_queries, "NEAR_PER_ITEM", 1)
        monkeypatch.setattr(search_queries, "WIDER", 1)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(things=records(), asked=st.lists(requests(), min_size=1, max_size=4), identity=st.sampled_from(IDENTITIES))
    def compare(things: list[Thing], asked: list[SearchRequest], identity: Identity) -> None:
        # An identifier of the PID's own type is the PID: services refuse another.
        assume(all(thing.pid_type not in thing.identifiers for thing in things))

        async def one() -> None:
            transaction = scene.connection.transaction()
            await transaction.start()
            try:
                if looks == "by indexes":
                    await scene.connection.execute("SET LOCAL enable_seqscan = off")
                await scene.insert(things)
                for request in asked:
                    await scene.compare(things, request, identity)
            finally:
                await transaction.rollback()

        scene.runner.run(one())

    compare()
