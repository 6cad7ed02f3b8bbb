"""Every error of the lower folders has a status in AMPLIfy's table, and nothing of the inside is in its words."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Request

from mediastore.dialects.amplify.refusals import STATUSES, answer_error, failure
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.retention.upkeep_errors import StoreDoubtful
from mediastore.transfers.errors import ContentMissing
from stores.errors import StoreError, StoreUnavailable
from tests.dialects.amplify.scene import Client
from tests.server import Server

BELOW = (
    "mediastore.accounts",
    "mediastore.catalog",
    "mediastore.clock",
    "mediastore.database",
    "mediastore.http",
    "mediastore.jobs",
    "mediastore.placement",
    "mediastore.registering",
    "mediastore.retention",
    "mediastore.transfers",
    "stores",
)


def descendants(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


ERRORS = [
    kind
    for root in (MediastoreError, StoreError)
    for kind in (root, *descendants(root))
    if kind.__module__.startswith(BELOW) and kind is not RetryLater
]
REQUEST: Any = Request({"type": "http", "method": "GET", "headers": [], "path": "/", "query_string": b""})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_that_its_clients_understand(kind: type[Any]) -> None:
    assert any(parent in STATUSES for parent in kind.__mro__), "none is left to be a 500"
    more = {"stopped_by": "what"} if kind is StoreDoubtful else {}
    answer = answer_error(REQUEST, kind("what was wrong", **more))
    assert answer.status_code in {401, 403, 404, 422, 429, 503}
    assert len(answer.content.detail) == 1


def test_h14_what_a_store_says_is_not_told() -> None:
    error = StoreUnavailable("no answer from http://10.0.0.7/secret-bucket")
    assert "secret" not in str(answer_error(REQUEST, error).content)
    assert "secret" not in str(failure("p", error))
    assert failure("p", ContentMissing("p has none yet")).msg == "p has none yet"


def test_h14_an_error_of_the_servers_own_tells_nothing() -> None:
    answer = answer_error(REQUEST, ValueError("hunter2"))
    assert answer.status_code == 500
    assert "hunter2" not in str(answer.content)


def test_what_is_not_there_and_what_is_not_known(client: Client, server: Server) -> None:
    assert client.http.get("/media/dump?limit=3").json()["detail"][0]["error"]
    assert client.http.get("/media/dump?limit=3").status_code == 422
    assert client.http.get("/nothing").status_code == 404
    assert client.http.put("/media").status_code in {404, 405}
    for path in (
        "/store/abc",
        "/store/99999999999999999999",
        "/s3cfg/-1",
        "/media/%00",
        "/media/%2e%2e",
        "/media/%ff",
        "/download/%ff",
    ):
        answer = client.http.get(path)
        assert answer.status_code in {404, 422}, path
        assert list(answer.json()) == ["detail"]
