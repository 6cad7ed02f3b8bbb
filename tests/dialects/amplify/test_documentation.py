"""docs/dialects/amplify.md names every call."""

import re
from pathlib import Path

from litestar.routes import HTTPRoute

from mediastore.app import create_app
from mediastore.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "dialects" / "amplify.md").read_text()


def test_every_call_has_its_row() -> None:
    app = create_app(Settings(database_url="postgresql:///none", secret_key="only to see its routes", dialects=("amplify",)))
    rows = [line.split("|")[1] for line in PAGE.splitlines() if re.match(r"\| (GET|POST|PUT|PATCH|DELETE)", line)]
    told = {
        (method, path)
        for row in rows
        for methods, paths in re.findall(r"((?:GET|POST|PUT|PATCH|DELETE)(?:, (?:PUT|PATCH))?) ((?:`[^`]+`(?:, (?=`))?)+)", row)
        for method in methods.split(", ")
        for path in re.findall(r"`([^`]+)`", paths)
    }
    served = {
        (method, route.path_format.removeprefix("/amplify/api/"))
        for route in app.litestar.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/amplify/")
        for method in route.route_handler_map
        if method != "OPTIONS"
    }
    assert told == served
