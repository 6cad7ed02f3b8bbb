"""Every error has a status that BitStore's clients know."""

from collections.abc import Iterator

import pytest

from mediastore.dialects.bitstore.refusals import status_of
from mediastore.errors import MediastoreError
from mediastore.problem_table import STATUSES
from stores.errors import StoreError

KNOWN = {400, 401, 403, 404, 409, 410, 503}


def tree(root: type[Exception]) -> Iterator[type[Exception]]:
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


@pytest.mark.parametrize("kind", [*tree(MediastoreError), *tree(StoreError)], ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[MediastoreError] | type[StoreError]) -> None:
    met_by_requests = any(parent in STATUSES for parent in kind.__mro__)
    assert status_of(kind.__new__(kind)) in (KNOWN if met_by_requests else {500})
