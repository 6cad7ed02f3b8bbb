"""The OpenAPI document, and /docs, where Swagger UI draws it: served from a package, so that the page needs no internet."""

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import msgspec
import swagger_ui
from litestar import Request, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.response import Response
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from mediastore.openapi_document import describe_app, operation_id
from mediastore.settings import Dialect

ASSETS = Path(swagger_ui.__file__).parent / "static"
ASSETS_PATH = "/docs-assets"
DOCUMENT_PATH = "/schema/openapi.json"
DOCS_PATH = "/docs"

TAGS = [
    Tag(name="Access", description="Who you are: log-in, tokens, API keys."),
    Tag(name="Records", description="What a PID names: identifiers, metadata, tags, access, expiry, history."),
    Tag(name="History", description="What happened, to whom, by whom, and how things were before."),
    Tag(name="Search", description="Finding records again: filters, words, counts, facets, declared metadata fields."),
    Tag(name="Content", description="Bytes in and out."),
    Tag(name="Direct uploads", description="Large content straight to its store, in parts, resumable."),
    Tag(name="Retention", description="How long: expiry, holds, sweeps and what stops them."),
    Tag(name="Identifier types", description="Patterns that PIDs and identifiers must match."),
    Tag(name="Stores", description="Where bytes lie, and the S3 services that several stores share."),
    Tag(name="Users", description="Accounts, for administrators."),
    Tag(name="Operations", description="Health, metrics, and jobs for administrators."),
]

DIALECTS: dict[Dialect, Tag] = {
    "amplify": Tag(name="AMPLIfy", description="WHOI's AMPLIfy Mediastore, for its clients."),
    "staging": Tag(name="EDI staging", description="EDI's staging service, for its clients."),
    "bitstore": Tag(name="BitStore", description="DataHub's BitStore, for its clients."),
}

DESCRIPTION = """
One lasting name, its PID, for every data product, wherever its bytes are.

Log in at `POST /api/v1/auth/login`, press *Authorize* and paste the `access_token`; an API key works in its place.
Public records need neither.

Errors are RFC 9457 problems with a stable `code`. Times are RFC 3339 UTC, sizes are bytes, durations are seconds.
Unknown fields and unknown query parameters are errors.
A request may bring its own `X-Request-ID`; the answer, the log and the history repeat it.
"""

# The page keeps a token, so no script runs in it but the two that carry the nonce.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mediastore API</title>
<link rel="icon" type="image/png" href="{assets}/favicon-32x32.png">
<link rel="stylesheet" href="{assets}/swagger-ui.css">
<style>body {{ margin: 0 }}</style>
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript. The API is described in <a href="{document}">{document}</a>.</noscript>
<script nonce="{nonce}" src="{assets}/swagger-ui-bundle.js"></script>
<script nonce="{nonce}">
SwaggerUIBundle({{
  url: "{document}",
  dom_id: "#docs",
  deepLinking: true,
  persistAuthorization: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null
}})
</script>
</body>
</html>
"""


class Pages(Router):
    """Takes our two pages alone. Litestar brings viewers along, another document, and 404s in HTML."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        ours = isinstance(value, HTTPRouteHandler) and value.paths <= {DOCUMENT_PATH, DOCS_PATH}
        return super().register(value) if ours else []


class Description:
    """The document of one application, made when it is first asked for."""

    def __init__(self) -> None:
        self._json: bytes | None = None

    def json(self, request: Request[Any, Any, Any]) -> bytes:
        if self._json is None:
            self._json = msgspec.json.encode(describe_app(request.app))
        return self._json


def openapi_config(dialects: Sequence[Dialect] = ()) -> OpenAPIConfig:
    """What Litestar is told of the document and its page. `dialects`: those that are switched on."""
    description = Description()

    @get(DOCUMENT_PATH, sync_to_thread=True)
    def document(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(description.json(request), media_type="application/vnd.oai.openapi+json", headers=headers)

    return OpenAPIConfig(
        title="Mediastore",
        version="1",
        description=DESCRIPTION.strip(),
        servers=[],
        tags=[*TAGS, *(DIALECTS[name] for name in dict.fromkeys(dialects))],
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        security=[{"bearer": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="An access token of `POST /api/v1/auth/login`, or an API key"
                )
            }
        ),
        openapi_router=Pages("/", route_handlers=[document, docs], include_in_schema=False),
        render_plugins=[JsonRenderPlugin()],
    )


@get(DOCS_PATH, sync_to_thread=False)
def docs() -> Response[str]:
    nonce = token_urlsafe(16)
    headers = {
        "Content-Security-Policy": POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    page = PAGE.format(nonce=nonce, assets=ASSETS_PATH, document=DOCUMENT_PATH)
    return Response(page, media_type="text/html", headers=headers)
