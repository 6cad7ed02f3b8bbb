"""Pages drawn from templates, each under a policy that lets only our own scripts and styles work in it."""

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.response import Response
from markupsafe import Markup

from mediastore.web.session import AnyRequest, Visitor
from mediastore.web.told import FILTERS

HERE = Path(__file__).parent
TEMPLATES, ASSETS = HERE / "templates", HERE / "assets"
ASSETS_PATH = "/console-assets"
# What runs and what styles carries the nonce: nothing that people upload does, though this server sends it.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "connect-src 'self'{reached}; worker-src {worker}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SAFE = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
IN_SCRIPTS = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""What could end a script element, or a line of one."""


class Pages:
    """Draws pages. `StrictUndefined`: a template that asks for what it is not given is a mistake, and not an empty cell."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters |= {**FILTERS, "data": as_data}

    def draw(
        self,
        template: str,
        *,
        request: AnyRequest,
        visitor: Visitor,
        status: int = 200,
        reached: Sequence[str] = (),
        worker: str | None = None,
        **given: Any,
    ) -> Response[str]:
        """One page. `reached`: origins of stores that its scripts talk to.

        `worker`: URL of the one script that may work beside the page. No nonce can name it, and `'self'` would also be what
        people upload, which this server sends, too.
        """
        nonce = token_urlsafe(16)
        # As it was asked for: a link back to the page of a PID that holds `%` or `?` has to say them in the same way.
        path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
        known = {"nonce": nonce, "assets": ASSETS_PATH, "visitor": visitor, "who": visitor.identity, "path": path}
        text = self._environment.get_template(template).render(**known, **given)
        policy = POLICY.format(nonce=nonce, reached="".join(f" {origin}" for origin in reached), worker=worker or "'none'")
        return Response(text, status_code=status, media_type="text/html", headers={"Content-Security-Policy": policy, **SAFE})


def as_data(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`, which nothing in it can end."""
    return Markup(msgspec.json.encode(value).decode().translate(IN_SCRIPTS))  # noqa: S704 - escaped by the table above
