"""The documents name every setting, error code, route and command."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from typer import Context
from typer.main import get_group

import mediastore.cli
import mediastore.server_commands
from mediastore.app import create_app
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.problem_table import OTHERS, STATUSES
from mediastore.settings import PREFIX, Settings
from mediastore.web.charts import CHARTS_PATH
from mediastore.web.pages import ASSETS_PATH
from stores.errors import StoreError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(MEDIASTORE_\w+)` \| ([^|]*) \|", (DOCS / "settings.md").read_text(), re.MULTILINE))
    fields = {
        PREFIX + name.upper(): default
        for name, default in zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True)
    }
    assert rows.keys() == fields.keys()
    for name, default in fields.items():
        if isinstance(default, bool):
            assert rows[name] == ("yes" if default else "no"), name
        elif isinstance(default, int | float):
            assert rows[name] == f"`{default}`", name


def errors(root: type[MediastoreError] | type[StoreError]) -> Iterator[type[MediastoreError] | type[StoreError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from errors(kind)


def test_every_error_has_a_code_of_its_own_that_is_documented_with_its_status() -> None:
    text = (DOCS / "errors.md").read_text()
    rows = dict(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d, ]+) \|", text, re.MULTILINE))
    documented = {code: statuses for codes, statuses in rows.items() for code in re.findall(r"`(\w+)`", codes)}
    for kind in (*errors(MediastoreError), *errors(StoreError)):
        status = next((STATUSES[parent] for parent in kind.__mro__ if parent in STATUSES), None)
        if status is not None and kind.code != "database_error":
            assert str(status) in documented.get(kind.code, ""), f"{kind.code} {status}"
        elif kind.__subclasses__() == []:
            assert f"`{kind.code}`" in text, kind.code
    for status, (code, _) in OTHERS.items():
        assert str(status) in documented[code], code


def test_every_error_of_a_request_has_a_status() -> None:
    below_routes = (
        "mediastore.accounts",
        "mediastore.catalog",
        "mediastore.placement",
        "mediastore.transfers",
        "mediastore.registering",
        "mediastore.http",
        "mediastore.jobs",
    )
    for kind in (*errors(MediastoreError), *errors(StoreError)):
        if kind.__module__.startswith(below_routes) and not kind.__subclasses__() and kind is not RetryLater:
            assert any(parent in STATUSES for parent in kind.__mro__), kind


def test_codes_are_not_shared_within_a_tree() -> None:
    for root in (MediastoreError, StoreError):
        codes = [kind.code for kind in errors(root)]
        assert sorted(codes) == sorted(set(codes))


def test_every_command_is_documented() -> None:
    group = get_group(mediastore.cli.app)
    context = Context(group)
    server = get_group(mediastore.server_commands.app)
    assert set(server.commands) == set(mediastore.cli.SERVER_COMMANDS)
    for name in group.list_commands(context):
        part = group.get_command(context, name)
        document = DOCS / ("operations.md" if name in server.commands else "command-line.md")
        names = [f"{name} {inner}" for inner in getattr(part, "commands", {})] or [name]
        for full in names:
            assert f"`mediastore {full}" in document.read_text(), full


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_route_is_in_the_openapi_document() -> None:
    app = create_app(Settings(database_url="postgresql:///none", secret_key="only to build the document", console=False))
    paths = app.litestar.openapi_schema.paths or {}
    for route in app.litestar.routes:
        known = route.path.replace(":path}", "}").replace(":str}", "}").replace(":uuid}", "}").replace(":int}", "}")
        hidden = ("/schema", "/docs", "/api/v1/media/batch")
        assert known in paths or known.startswith(hidden), known


def test_every_page_of_the_console_is_documented() -> None:
    settings = Settings(database_url="postgresql:///none", secret_key="only to list the pages")
    api = {route.path for route in create_app(structs.replace(settings, console=False)).litestar.routes}
    text = (DOCS / "console.md").read_text()
    for route in create_app(settings).litestar.routes:
        page = route.path.replace(":path}", "}").replace(":str}", "}").replace(":uuid}", "}").replace(":int}", "}")
        if route.path not in api and not page.startswith((ASSETS_PATH, CHARTS_PATH)):
            assert f"`{page}`" in text, page
