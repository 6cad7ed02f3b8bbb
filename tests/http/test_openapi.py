"""The OpenAPI document: whole, valid, and true of the server that serves it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it brings no types
import msgspec
import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from mediastore.app import create_app
from mediastore.errors import MediastoreError
from mediastore.openapi_details import DETAILS, ERRORS
from mediastore.openapi_document import describe_app
from mediastore.openapi_examples import PROBLEMS
from mediastore.problem_table import OTHERS, STATUSES
from mediastore.settings import Settings
from stores.errors import StoreError
from tests.server import Server

Json = dict[str, Any]

APP = create_app(Settings(console=False, secret_key="only to build the document", database_url="postgresql:///none")).litestar
DOCUMENT: Json = msgspec.json.decode(msgspec.json.encode(describe_app(APP)))
OPERATIONS: dict[str, tuple[str, str, Json]] = {
    said["operationId"]: (path, method, said) for path, item in DOCUMENT["paths"].items() for method, said in item.items()
}

NOT_DESCRIBED = {
    "/docs": "a page for people",
    "/docs-assets/{file_path}": "what the page is drawn with",
    "/schema/openapi.json": "the document itself",
}
"""Routes that are not in the document, and why."""
METHODS_NOT_DESCRIBED = {
    (f"/api/v1/media/{word}", method): f"a PID that is named {word}; the document has it as /media/{{pid}}"
    for word in ("batch", "import", "export", "search")
    for method in ("get", "patch", "delete")
}
NO_PROBLEM: Mapping[tuple[str, str], str] = {
    ("health_ready", "503"): "load balancers read the status; people get the same body as with 200"
}
"""Answers of 4xx and 5xx that are no refusals."""


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_the_server_serves_this_document_to_anyone(server: Server) -> None:
    answer = httpx.get(f"{server.url}/schema/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert answer.json() == DOCUMENT


def test_every_route_is_described() -> None:
    missing = {
        (route.path_format, method.lower())
        for route in APP.routes
        if isinstance(route, HTTPRoute) and route.path_format not in NOT_DESCRIBED
        for method in route.route_handler_map
        if method != "OPTIONS" and method.lower() not in DOCUMENT["paths"].get(route.path_format, {})
    }
    assert missing == set(METHODS_NOT_DESCRIBED)
    assert set(NOT_DESCRIBED) <= {route.path_format for route in APP.routes if isinstance(route, HTTPRoute)}


def test_what_is_said_of_single_operations_is_about_operations_that_are_there() -> None:
    assert set(DETAILS) <= set(OPERATIONS)
    assert {status for status in STATUSES.values() if status not in ERRORS} == set()
    assert set(PROBLEMS) == set(ERRORS) - {None}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_does_and_how_it_answers(name: str) -> None:
    _, method, said = OPERATIONS[name]
    assert re.fullmatch(r"[a-z][a-z0-9_]{3,39}", name)
    assert 5 <= len(said["summary"]) <= 90
    assert len(said["tags"]) == 1
    assert said["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    good = {status: response for status, response in said["responses"].items() if status.startswith("2")}
    assert good
    for status, response in good.items():
        assert "content" in response or status == "204" or method == "head", status
    if method in {"post", "put", "patch"} and not said["operationId"].endswith(("_check", "_probe", "_retry")):
        assert "requestBody" in said
    for response in map(resolved, said["responses"].values()):
        assert response["description"]
        assert "X-Request-ID" in response["headers"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_refusal_is_a_problem(name: str) -> None:
    responses = OPERATIONS[name][2]["responses"]
    assert "default" in responses
    for status, response in responses.items():
        if not status.startswith(("2", "3")) and (name, status) not in NO_PROBLEM:
            content = resolved(response)["content"]
            assert list(content) == ["application/problem+json"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_nothing_is_the_frameworks_own_and_patterns_are_for_everyone() -> None:
    text = repr(DOCUMENT)
    assert "status_code" not in text
    assert "Validation Exception" not in text
    assert "msgspec" not in text
    patterns = [schema["pattern"] for schema in dictionaries(DOCUMENT) if isinstance(schema.get("pattern"), str)]
    assert len(patterns) > 10
    for pattern in patterns:
        re.compile(pattern)
        assert r"(?!\n)" not in pattern


def test_examples_fit_their_schemas() -> None:
    checked = 0
    for holder in dictionaries(DOCUMENT):
        for schema, example in examples(holder):
            jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(example)
            checked += 1
    assert checked > 60


def test_examples_of_problems_are_problems_that_the_server_has() -> None:
    kinds = [*descendants(MediastoreError), *descendants(StoreError)]
    known = {(kind.code, next((STATUSES[each] for each in kind.__mro__ if each in STATUSES), 0)) for kind in kinds}
    known |= {(code, status) for status, (code, _) in OTHERS.items()}
    assert {(code, status) for status, (code, _) in PROBLEMS.items()} - known == set()


def json_examples() -> Iterator[Any]:
    """Name of the operation, and each example of its body; None where it has none."""
    for name, (_, _, said) in OPERATIONS.items():
        content = said.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None:
            for title, example in content.get("examples", {"NONE": None}).items():
                yield pytest.param(name, example, id=f"{name}: {title}")


@pytest.mark.parametrize(("name", "example"), list(json_examples()))
def test_the_server_takes_the_bodies_of_the_document(admin: httpx.Client, name: str, example: Json | None) -> None:
    assert example is not None, "the main bodies have examples"
    answer = call(admin, name, json=example["value"])
    assert answer.status_code < 500, answer.text
    lines = "x-ndjson" in answer.headers["content-type"]
    told = [json.loads(line) for line in answer.text.splitlines()] if lines else [answer.json()]
    assert {each.get("code") for each in told} & {"body_invalid", "query_unknown", "path_unknown"} == set(), answer.text
    for item in told[0].get("items", []) if told else []:
        assert "can't be read" not in str(item.get("problem")), item


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_document_says_who_may_call(server: Server, name: str) -> None:
    _, _, said = OPERATIONS[name]
    with server.client("") as nobody:
        answer = call(nobody, name, **body(said))
    ways = said["security"] if "security" in said else DOCUMENT["security"]
    needs_login = {} not in ways
    assert (answer.status_code == 401 and answer.json()["code"] == "login_required") == needs_login, answer.text


def test_the_headers_of_the_document_come(admin: httpx.Client) -> None:
    there = admin.put("/content/headers/one", content=b"0123456789", headers={"Content-Type": "text/plain"})
    again = admin.put("/content/headers/one", content=b"0123456789")
    shown = admin.get("/media/headers/one")
    answers = {
        "content_upload": [there, again],
        "content_upload_form": [admin.post("/content", files={"file": b"0"})],
        "media_create": [admin.post("/media", json={})],
        "media_read": [shown, admin.get("/media/headers/one", headers={"If-None-Match": shown.headers["etag"]})],
        "media_change": [admin.patch("/media/headers/one", json={"tags": ["a"]})],
        "content_download": [
            admin.get("/content/headers/one"),
            admin.get("/content/headers/one?version=1", headers={"Range": "bytes=2-3"}),
            admin.get("/content/headers/one?version=1", headers={"If-None-Match": there.headers["etag"]}),
            admin.get("/content/headers/one", headers={"Range": "bytes=20-30"}),
            admin.get("/content/headers/none"),
        ],
        "content_download_head": [admin.head("/content/headers/one")],
        "auth_me": [admin.get("/auth/me", headers={"Authorization": "Bearer none"})],
    }
    for name, given in answers.items():
        responses = OPERATIONS[name][2]["responses"]
        for answer in given:
            response = resolved(responses[str(answer.status_code)])
            assert set(map(str.lower, response["headers"])) - set(answer.headers) == set(), (name, answer.status_code)
    statuses = [answer.status_code for given in answers.values() for answer in given]
    assert statuses == [201, 200, 201, 201, 200, 304, 200, 200, 206, 304, 416, 404, 200, 401]


def descendants(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def call(client: httpx.Client, name: str, **options: Any) -> httpx.Response:
    """One call of the operation; its path leads to nothing that is there."""
    path, method, said = OPERATIONS[name]
    for parameter in said["parameters"]:
        if parameter["in"] == "path":
            kind = parameter["schema"].get("format") or parameter["schema"]["type"]
            value = {"uuid": "0196f2c0-4bd9-7d0d-9c1e-9e1f6f0a3a52", "integer": "4711"}.get(kind, "not-there")
            path = path.replace(f"{{{parameter['name']}}}", value)
    return client.request(method, httpx.URL(client.base_url).join(path), **options)


def body(said: Json) -> Json:
    """Options for httpx that send a body which the operation takes."""
    content = said.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": next(iter(content["application/json"]["examples"].values()))["value"]}
    if "multipart/form-data" in content:
        return {"files": {"file": b"0"}}
    return {"content": b"0"} if content else {}


def resolved(response: Json) -> Json:
    found = response
    for part in response.get("$ref", "#").split("/")[1:]:
        found = DOCUMENT[part] if found is response else found[part]
    return found


def dictionaries(value: Any) -> Iterator[Json]:
    if isinstance(value, Mapping):
        yield dict(value)
        for inner in value.values():
            yield from dictionaries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from dictionaries(inner)


def examples(holder: Json) -> Iterator[tuple[Json, Any]]:
    """Each example that a media type, parameter, header or schema gives, and the schema that it is for."""
    if isinstance(schema := holder.get("schema"), dict):
        if "example" in holder:
            yield schema, holder["example"]
        for example in dict(holder.get("examples") or {}).values():
            yield schema, example["value"]
    elif isinstance(given := holder.get("examples"), list):
        yield from ((holder, example) for example in given)
