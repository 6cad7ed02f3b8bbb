"""Query parameters that a call does not know."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from litestar.datastructures import MultiDict
from litestar.params import QueryParameter

from mediastore.http.errors import QueryUnknown
from mediastore.http.parameters import refuse_unknown_query


def asked(query: str, *known: str) -> Any:
    return SimpleNamespace(
        scope={"query_string": query.encode()},
        query_params=MultiDict([(pair.partition("=")[0], pair.partition("=")[2]) for pair in query.split("&")]),
        route_handler=SimpleNamespace(
            parsed_fn_signature=SimpleNamespace(
                parameters=dict.fromkeys(
                    known, SimpleNamespace(kwarg_definition=QueryParameter(), annotation=str, inner_types=())
                )
            )
        ),
    )


async def test_known_parameters_pass() -> None:
    await refuse_unknown_query(asked("limit=1&cursor=x", "limit", "cursor"))
    await refuse_unknown_query(asked("", "limit"))


@pytest.mark.parametrize("query", ["colour=red", "limit=1&colour=red", "Limit=1", "limit%20=1", "=1"])
async def test_an_unknown_one_is_refused_by_name(query: str) -> None:
    with pytest.raises(QueryUnknown) as caught:
        await refuse_unknown_query(asked(query, "limit"))
    name = query.rpartition("&")[2].partition("=")[0]
    assert caught.value.fields["parameter"] == name
    assert repr(name) in caught.value.message


@pytest.mark.parametrize("query", ["limit=null", "limit=null&limit=5", "limit=5&limit=null", "reads=null", "kind=null"])
def test_null_is_no_value(admin: httpx.Client, query: str) -> None:
    answer = admin.get(f"/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid"), answer.text
    assert query.partition("=")[0] in answer.json()["detail"]


def test_null_can_be_a_name(admin: httpx.Client) -> None:
    assert admin.get("/events?actor=null&subject=null").status_code == 200
