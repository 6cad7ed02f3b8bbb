"""How a handler says that an argument comes from `app.py`, by its name."""

from typing import Annotated, TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidationMarker

T = TypeVar("T")

Provided: TypeAlias = Annotated[NamedDependency[T], SkipValidationMarker()]
"""Taken as it is: what we provide ourselves needs no validation on every request."""
