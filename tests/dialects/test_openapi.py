"""What the OpenAPI document says of the dialects that are switched on."""

from typing import Any, get_args

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mediastore.app import create_app
from mediastore.openapi import DIALECTS
from mediastore.openapi_document import describe_app
from mediastore.settings import Dialect, Settings

Json = dict[str, Any]
OURS: tuple[Dialect, ...] = get_args(Dialect)
SERVED: tuple[Dialect, ...] = ("amplify", "staging", "bitstore")


def document(*dialects: Dialect, **settings: Any) -> Json:
    app = create_app(
        Settings(secret_key="only to build the document", database_url="postgresql:///none", dialects=dialects, **settings)
    ).litestar
    described: Json = msgspec.json.decode(msgspec.json.encode(describe_app(app)))
    return described


def operations(of: Json, tag: str) -> dict[str, Json]:
    return {
        f"{method} {path}": said for path, item in of["paths"].items() for method, said in item.items() if tag in said["tags"]
    }


def test_the_document_is_valid_with_all_dialects() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document(*SERVED)).iter_errors()] == []


def test_dialects_are_off_unless_they_are_named() -> None:
    assert not {tag["name"] for tag in document()["tags"]} & {DIALECTS[name].name for name in OURS}


@pytest.mark.parametrize("name", SERVED)
def test_a_dialect_has_a_section_of_its_own_and_changes_nothing_of_ours(name: Dialect) -> None:
    without, with_it = document(), document(name)
    own = operations(with_it, DIALECTS[name].name)
    assert own
    assert {said["operationId"].partition("_")[0] for said in own.values()} == {name}
    assert all(said["summary"] for said in own.values())
    for path, item in without["paths"].items():
        assert with_it["paths"][path] == item


@pytest.mark.parametrize("name", SERVED)
def test_a_dialect_can_lie_elsewhere(name: Dialect) -> None:
    moved = operations(document(name, **{f"{name}_prefix": "/other/place"}), DIALECTS[name].name)
    at_root = operations(document(name, **{f"{name}_prefix": "/"}), DIALECTS[name].name)
    assert {key.replace("/other/place/", "/").replace("/other/place", "/") for key in moved} == set(at_root)
