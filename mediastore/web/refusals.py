"""Errors as pages: what was wrong, in a sentence, and where to go from there."""

from typing import Any

from litestar.response import Response

from mediastore.accounts.schemas import NOBODY, Caller
from mediastore.problem_table import answer_error
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

NOBODY_YET = Visitor(caller=Caller(identity=NOBODY))
TITLES = {
    401: "Log in to see this",
    403: "Your account may not see this",
    404: "There is nothing here, or it is not for you to see",
    410: "It was here, and is gone",
    503: "Not available right now",
}


def wants_page(request: AnyRequest) -> bool:
    """Whether a person with a browser asked, and not a program."""
    path = request.url.path
    return (
        request.method in {"GET", "HEAD"}
        and "text/html" in request.headers.get("accept", "")
        and not path.startswith(("/api/", "/schema", "/health/", "/metrics"))
    )


class PageRefusals:
    """The exception handler of pages: the same table of errors, drawn."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def __call__(self, request: AnyRequest, error: Exception) -> Response[Any]:
        answer = answer_error(request, error)
        if not wants_page(request):
            return answer
        told: dict[str, Any] = answer.content
        status = answer.status_code or 500
        page = self._pages.draw(
            "refused.html",
            request=request,
            visitor=getattr(request.state, "visitor", NOBODY_YET),
            status=status,
            title=TITLES.get(status, "That did not work"),
            sentence=told["detail"],
            request_id=told.get("request_id"),
            code=told["code"],
        )
        for name in ("Retry-After", "Allow"):
            if name in answer.headers:
                page.headers[name] = answer.headers[name]
        return page
