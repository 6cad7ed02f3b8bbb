"""Query parameters that a call does not know."""

from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from litestar import Litestar, get
from litestar.di import Provide
from litestar.routes import HTTPRoute
from litestar.testing import RequestFactory

from mediastore.http.cursors import Cursor, Limit, position
from mediastore.http.errors import QueryUnknown
from mediastore.http.parameters import refuse_unknown_query
from mediastore.http.provided import Provided


def asked(query: str) -> Any:
    """A request of a call with two parameters: its own `limit`, and `cursor` by way of what is made of it."""

    async def place_of(cursor: Cursor = None) -> int | None:
        return position(cursor)

    @get("/things", dependencies={"place": Provide(place_of)})
    async def list_things(place: Provided[int | None], limit: Limit = 100) -> None: ...

    app = Litestar([list_things])
    route = next(route for route in app.routes if isinstance(route, HTTPRoute) and route.path == "/things")
    request = RequestFactory(app=app, server="localhost").get("/things", route_handler=route.route_handler_map["GET"][0])
    request.scope["query_string"] = query.encode()
    return request


async def test_known_parameters_pass() -> None:
    await refuse_unknown_query(asked("limit=1&cursor=x"))
    await refuse_unknown_query(asked(""))


@pytest.mark.parametrize("query", ["colour=red", "limit=1&colour=red", "Limit=1", "limit%20=1", "=1"])
async def test_an_unknown_one_is_refused_by_name(query: str) -> None:
    with pytest.raises(QueryUnknown) as caught:
        await refuse_unknown_query(asked(query))
    name = unquote(query.rpartition("&")[2].partition("=")[0])
    assert caught.value.fields["parameter"] == name
    assert repr(name) in caught.value.message


@pytest.mark.parametrize("query", ["limit=null", "limit=null&limit=5", "limit=5&limit=null", "reads=null", "kind=null"])
def test_null_is_no_value(admin: httpx.Client, query: str) -> None:
    answer = admin.get(f"/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid"), answer.text
    assert query.partition("=")[0] in answer.json()["detail"]


def test_null_can_be_a_name(admin: httpx.Client) -> None:
    assert admin.get("/events?actor=null&subject=null").status_code == 200
