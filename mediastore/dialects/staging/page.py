"""The page for people: one document, one style sheet, one module, all of them ours, and nothing from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from string import Template

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response

from mediastore.dialects.staging.callers import AnyRequest

PAGES = Path(__file__).parent / "pages"
# What runs and what styles carries the nonce: nothing that people upload does, though this server sends it.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
DAY_S = 86_400


async def any_query(_: AnyRequest) -> None:
    """A page takes whatever stands behind its address: links pick things up on their way."""


def page_routes(prefix: str, *, most_bytes: int, ttl_s: int) -> Sequence[HTTPRouteHandler]:
    """The page and what it loads."""
    document = Template((PAGES / "staging.html").read_text())
    style, module = (PAGES / "staging.css").read_bytes(), (PAGES / "staging.js").read_bytes()
    given = {"prefix": prefix.rstrip("/"), "most_bytes": most_bytes, "most": told_size(most_bytes), "kept": told_time(ttl_s)}

    @get("/", include_in_schema=False, before_request=any_query, sync_to_thread=False)
    def page() -> Response[str]:
        nonce = token_urlsafe(16)
        headers = {"Content-Security-Policy": POLICY.format(nonce=nonce), "Cache-Control": "no-store", **SAFE}
        return Response(document.substitute(given, nonce=nonce), media_type="text/html", headers=headers)

    @get("/pages/staging.css", include_in_schema=False, before_request=any_query, sync_to_thread=False)
    def page_style() -> Response[bytes]:
        return Response(style, media_type="text/css", headers={"Cache-Control": "no-cache", **SAFE})

    @get("/pages/staging.js", include_in_schema=False, before_request=any_query, sync_to_thread=False)
    def page_module() -> Response[bytes]:
        return Response(module, media_type="text/javascript", headers={"Cache-Control": "no-cache", **SAFE})

    return [page, page_style, page_module]


def told_size(size: float) -> str:
    """For people: 5 TiB."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def told_time(seconds: int) -> str:
    """For people: 30 days."""
    number, unit = (seconds // DAY_S, "day") if seconds >= DAY_S else (max(1, seconds // 60), "minute")
    return f"{number} {unit}" + ("s" if number > 1 else "")
