"""Finding something among 1,000,000 records, against finding as much among 10,000: milliseconds of whole calls, as rates."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from statistics import median, quantiles
from time import monotonic, sleep
from urllib.parse import urlencode

from bench.calls import one_call, request_bytes
from bench.parts import Parts, port_of
from bench.rows import Progress, Row, say
from bench.search_seed import seed_many
from mediastore.catalog.search_cursors import mark, written
from mediastore.catalog.search_queries import Position
from mediastore.catalog.search_schemas import SearchRequest
from tests.server import Server

FEW, MANY = 10_000, 1_000_000
ROUNDS = 80
WARM_UP = 10

Query = Callable[[int], str]
"""From how many records there are to the parameters of a search that finds as much among few as among many."""


def sought(count: int) -> int:
    """A record in the middle."""
    return count // 2 + 77


def pid(number: int) -> str:
    return f"IFCB{101 + number % 20}_D{number:08d}"


def deep_page(count: int) -> str:
    """The page in the middle of all, by the cursor that the one before it would have given."""
    last = Position(key=pid(count // 2), id=count // 2)
    return f"sort=pid&cursor={written(last, mark(SearchRequest(sort='pid')))}"


SEARCHES: Mapping[str, tuple[Query, float]] = {
    "search_pid": (lambda n: f"pid={pid(sought(n))}", 0.5),
    "search_pid_prefix": (lambda n: f"pid={pid(sought(n))[:-2]}*", 0.5),
    "search_inner_wildcard": (lambda n: f"pid=*{sought(n):08d}*", 0),
    "search_identifier": (lambda n: f"identifier=BIN:D{sought(n):08d}", 0.5),
    "search_rare_tag": (lambda _: "tag=rare", 0.5),
    "search_common_tag": (lambda _: "tag=raw", 0),
    "search_metadata": (lambda _: urlencode({"metadata": '{"station": 78}'}), 0.5),
    "search_path": (lambda _: urlencode({"where": "$.station == 78 && $.depth >= 0"}), 0),
    "search_path_range": (lambda n: urlencode({"where": f"$.depth > {1000 - 10_000 / n}"}), 0),
    "search_declared_range": (lambda n: f"field=depth:gte:500&field=depth:lt:{500 + 10_000 / n}", 0.5),
    "search_declared_sort": (lambda _: "sort=-depth", 0),
    "search_deep_page": (deep_page, 0.5),
    "search_checksum": (lambda n: f"checksum={hashlib.sha256(str(sought(n)).encode()).hexdigest()}", 0),
    "search_words": (lambda _: "q=coccolithophore+bloom", 0),
    "search_facet": (lambda _: "tag=rare&facet=tags&facet=owner&facet=media_type", 0),
    "search_facet_of_all": (lambda _: "facet=tags&limit=10", 0),
    "search_count_of_all": (lambda _: "count=true&limit=10", 0),
}
"""What is looked for, and at least which part of the rate among few is reached among many; 0 where that is only shown."""


@cache
def served(parts: Parts, count: int) -> tuple[Server, str]:
    """A server with so many records and one declared field, and a token for it."""
    begun = monotonic()
    url = parts.database()
    server = parts.serve(url, f"search-{count}")
    parts.runner.run(seed_many(url, count))
    with server.client() as admin:
        admin.post("/metadata-fields", json={"name": "depth", "type": "number"}).raise_for_status()
        while (field := admin.get("/metadata-fields/depth").json())["state"] != "ready":
            assert field["state"] == "building", field
            sleep(0.2)
    say(f"  {count:,} records after {monotonic() - begun:.0f} s")
    return server, server.token()


def compared(parts: Parts, *, name: str, query: Query) -> tuple[float, float]:
    """Searches a second, one after the other. The two sides take turns."""
    took: dict[int, list[float]] = {FEW: [], MANY: []}
    progress = Progress(ROUNDS)
    for number in range(WARM_UP + ROUNDS):
        for count, times in took.items():
            server, token = served(parts, count)
            request = request_bytes("GET", f"/api/v1/media?{query(count)}", token=token)
            seconds = parts.in_client(one_call, port_of(server.url), request, expect=200)
            if number >= WARM_UP:
                times.append(seconds)
        progress.show(number - WARM_UP + 1)
    shown = [
        f"among {count:,} p50 {1000 * median(times):.1f} ms, p95 {1000 * quantiles(times, n=20)[-1]:.1f} ms"
        for count, times in took.items()
    ]
    say(f"  {name}: {'; '.join(shown)}")
    return 1 / median(took[MANY]), 1 / median(took[FEW])


SEARCH_ROWS: list[Row] = [
    Row(name=name, unit="searches/s", target=target, measure=partial(compared, name=name, query=query))
    for name, (query, target) in SEARCHES.items()
]
