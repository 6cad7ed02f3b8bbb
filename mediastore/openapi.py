"""The OpenAPI document, and its pages drawn by Swagger UI from a package of ours: no page needs the internet."""

from pathlib import Path

import swagger_ui
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag

ASSETS = Path(swagger_ui.__file__).parent / "static"
ASSETS_PATH = "/docs-assets"

TAGS = [
    Tag(name="Access", description="Who you are: log-in, tokens, API keys."),
    Tag(name="Records", description="What a PID names: identifiers, metadata, tags, access, expiry, history."),
    Tag(name="Content", description="Bytes in and out."),
    Tag(name="Identifier types", description="Patterns that PIDs and identifiers must match."),
    Tag(name="Stores", description="Where bytes lie, and the S3 services that several stores share."),
    Tag(name="Users", description="Accounts, for administrators."),
    Tag(name="Operations", description="Health and metrics."),
]

DESCRIPTION = """
One lasting name, its PID, for every data product, wherever its bytes are.

Log in at `POST /api/v1/auth/login`, press *Authorize* and paste the `access_token`; an API key works in its place.
Errors are RFC 9457 problems with a stable `code`. Times are RFC 3339 UTC, sizes are bytes, durations are seconds.
"""


def openapi_config() -> OpenAPIConfig:
    """Document at /schema/openapi.json, pages at /docs."""
    return OpenAPIConfig(
        title="Mediastore",
        version="1",
        description=DESCRIPTION.strip(),
        path="/schema",
        servers=[Server(url="/")],
        tags=TAGS,
        use_handler_docstrings=True,
        security=[{"bearer": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="An access token of `POST /api/v1/auth/login`, or an API key"
                )
            }
        ),
        render_plugins=[
            SwaggerRenderPlugin(
                path="/docs",
                js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
                css_url=f"{ASSETS_PATH}/swagger-ui.css",
                standalone_preset_js_url=f"{ASSETS_PATH}/swagger-ui-standalone-preset.js",
                favicon=f'<link rel="icon" type="image/png" href="{ASSETS_PATH}/favicon-32x32.png">',
            )
        ],
    )
