"""The document that Litestar makes of the routes, completed: exact schemas, bodies, answers, errors, examples.

Litestar knows paths, parameters, summaries, tags and which errors a handler declares. The rest is said here, once for all routes,
and in `openapi_details` where a route is unlike the others.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, get_args

from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition
from msgspec import Struct

from mediastore.http.bodies import BODY, DETAIL, DIALECT, OPTIONAL, REFUSALS
from mediastore.http.ndjson import NDJSON
from mediastore.http.problems import PROBLEM_TYPE, Problem
from mediastore.openapi_details import (
    ASKED,
    BYTES,
    DESCRIPTIONS,
    DETAILS,
    ERRORS,
    HEADERS,
    ON_ERRORS,
    PATH,
    REQUEST_ID,
    Detail,
    form,
)
from mediastore.openapi_examples import BODIES, SHOWN, problem_like
from mediastore.openapi_schemas import Json, Schemas, without_null

METHODS = ("get", "head", "post", "put", "patch", "delete")
"""In the order in which a path shows them."""
BASE = ("api", "v1")
FORM_TYPE = "multipart/form-data"
OCTETS = "application/octet-stream"


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one path: what Litestar says of it, to be completed, and the handler behind it."""

    said: Json
    handler: HTTPRouteHandler
    method: str

    @property
    def id(self) -> str:
        id: str = self.said["operationId"]
        return id

    @property
    def detail(self) -> Detail:
        detail: Detail = self.handler.opt.get(DETAIL) or DETAILS.get(self.id, Detail())
        return detail

    @property
    def body(self) -> Any:
        """The type of the JSON body, or None."""
        return self.handler.opt.get(BODY)

    @property
    def refusals(self) -> dict[int, Any]:
        """Of a dialect's route: the types of its refusals by status, None for one without a body."""
        refusals: dict[int, Any] = self.handler.opt.get(REFUSALS, {})
        return refusals

    @property
    def answer(self) -> Any:
        """The type of the JSON answer; None for no body or one of other bytes."""
        annotation = self.handler.parsed_fn_signature.return_type.annotation
        if getattr(annotation, "__origin__", None) is Response:
            annotation = get_args(annotation)[0]
        return None if annotation in {None, type(None), Any} else annotation


def operation_id(handler: HTTPRouteHandler, method: Method, path: list[str | PathParameterDefinition]) -> str:
    """Short and lasting, `media_read`: the noun of the path and the verb of the handler. Programs are generated with them.

    In a dialect its name stands for the noun: where its paths lie is a setting.
    """
    if DIALECT in handler.opt:
        return f"{handler.opt[DIALECT]}_{handler.handler_name}" + ("_head" if method == "HEAD" else "")
    words = [part for part in path if isinstance(part, str)]
    noun = next(word for word in words if word not in BASE).replace("-", "_")
    verb = handler.handler_name
    if verb.startswith("list_"):
        verb = "list"
    elif verb == noun:
        verb = "read"
    return f"{noun}_{verb}_head" if method == "HEAD" else f"{noun}_{verb}"


def describe_app(app: Litestar) -> Json:
    """The whole document, as JSON."""
    document: Json = app.openapi_schema.to_schema()
    operations = list(_operations(app, document))
    kinds = [
        kind
        for each in operations
        for kind in (each.body, each.answer, each.detail.takes_lines, *each.detail.kinds.values(), *each.refusals.values())
        if kind is not None
    ]
    schemas = Schemas([*kinds, Problem])
    for each in operations:
        _complete(each, schemas)
    for struct, example in SHOWN.items():
        schemas.component(struct)["examples"] = [example]
    for struct, text in DESCRIPTIONS.items():
        schemas.component(struct)["description"] = text
    document.pop("servers", None)  # the one that serves the document
    document["components"] |= {
        "schemas": dict(sorted(schemas.components.items())),
        "headers": HEADERS,
        "responses": {_problem_name(status): _problem(status, schemas) for status in ERRORS},
    }
    document["paths"] = {path: _in_order(item) for path, item in sorted(document["paths"].items())}
    return document


def _operations(app: Litestar, document: Json) -> Iterator[Operation]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path_format not in document["paths"]:
            continue
        said = document["paths"][route.path_format]
        for handler in route.route_handlers:
            for method in handler.http_methods:
                if method.lower() in said:
                    yield Operation(said=said[method.lower()], handler=handler, method=method.lower())


def _in_order(item: Json) -> Json:
    return {method: item[method] for method in METHODS if method in item}


def _complete(each: Operation, schemas: Schemas) -> None:
    said, detail = each.said, each.detail
    del said["deprecated"]
    parameters = [_parameter(parameter) for parameter in said.get("parameters", ())]
    parameters += [
        {"name": name, "in": "header", "description": ASKED[name], "schema": {"type": "string"}} for name in detail.asks
    ]
    said["parameters"] = sorted(parameters, key=lambda parameter: ("path", "query", "header").index(parameter["in"]))
    if body := _body(each, schemas):
        said["requestBody"] = {"required": not each.handler.opt.get(OPTIONAL), "content": body}
    if each.method == "head":
        said["summary"] += ": its headers alone"
    if detail.public:
        said["security"] = [{"bearer": []}, {}]
    answers = {str(status): _answer(each, status, schemas) for status in detail.answers or {each.handler.status_code: ()}}
    if DIALECT in each.handler.opt:
        said["responses"] = answers | {str(status): _refusal(each, status, schemas) for status in sorted(each.refusals)}
        return
    refusals = [int(status) for status, response in said["responses"].items() if PROBLEM_TYPE in response.get("content", ())]
    said["responses"] = {
        **answers,
        **{str(status): {"$ref": f"#/components/responses/{_problem_name(status)}"} for status in sorted(refusals)},
        "default": {"$ref": f"#/components/responses/{_problem_name(None)}"},
    }


def _parameter(said: Json) -> Json:
    if said["in"] == "path" and said["name"] in PATH:
        return {"name": said["name"], "in": "path", "required": True, **PATH[said["name"]]}
    schema = without_null(said["schema"])
    schema.pop("description", None)  # the parameter has it
    shown = {key: said[key] for key in ("name", "in", "description") if key in said}
    return shown | {"required": said["required"], "schema": schema}


def _body(each: Operation, schemas: Schemas) -> Json | None:
    if each.body is not None:
        media: Json = {"schema": schemas.of(each.body)}
        if each.body in BODIES:
            media["examples"] = {name: {"value": value} for name, value in BODIES[each.body].items()}
        return {"application/json": media}
    if each.detail.form is not None:
        fields = each.detail.form
        return {FORM_TYPE: {"schema": form(schemas.component(fields)["properties"]) if isinstance(fields, type) else fields}}
    if each.detail.takes_lines is not None:
        # The schema is that of each line: this version of OpenAPI has no word for several of them.
        return {NDJSON: {"schema": schemas.of(each.detail.takes_lines)}}
    return {OCTETS: {"schema": BYTES}} if each.detail.takes_bytes else None


def _answer(each: Operation, status: int, schemas: Schemas) -> Json:
    names = (*each.detail.answers.get(status, ()), REQUEST_ID)
    answer: Json = {
        "description": each.detail.said.get(status, HTTPStatus(status).phrase),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    }
    if status in {204, 302, 304, 307} or each.method == "head":
        return answer
    kind = each.detail.kinds.get(status, each.answer)
    if kind is not None:
        lines = each.handler.media_type == NDJSON
        content: Json = {NDJSON if lines else "application/json": {"schema": schemas.of(kind)}}
    elif each.detail.gives_bytes:
        content = {"*/*": {"schema": BYTES}}
    else:
        content = {str(each.handler.media_type): {"schema": {"type": "string"}}}
    return answer | {"content": content}


def _refusal(each: Operation, status: int, schemas: Schemas) -> Json:
    """Of a dialect: in its own words."""
    answer: Json = {
        "description": HTTPStatus(status).phrase,
        "headers": {REQUEST_ID: {"$ref": f"#/components/headers/{REQUEST_ID}"}},
    }
    kind = each.refusals[status]
    return answer if kind is None else answer | {"content": {"application/json": {"schema": schemas.of(kind)}}}


def _problem_name(status: int | None) -> str:
    return "Problem" if status is None else f"Problem{status}"


def _problem(status: int | None, schemas: Schemas) -> Json:
    names = (*ON_ERRORS.get(status, ()), REQUEST_ID)
    return {
        "description": ERRORS[status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {PROBLEM_TYPE: {"schema": schemas.of(Problem), "example": problem_like(status or 400)}},
    }
