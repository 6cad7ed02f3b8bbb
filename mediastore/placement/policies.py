"""Whether a store's policy makes sense, whoever asks: to save it, or to rehearse it first."""

from mediastore.database import Connection, ValueRefused
from mediastore.placement import queries
from mediastore.placement.errors import StoreInvalid
from mediastore.placement.schemas import Retention, Upkeep


async def check_retention(connection: Connection, retention: Retention) -> None:
    """Raise `StoreInvalid` for what contradicts itself, and for a path that PostgreSQL does not take."""
    if retention.default_ttl_s and retention.max_ttl_s and retention.default_ttl_s > retention.max_ttl_s:
        raise StoreInvalid(f"retention: default_ttl_s {retention.default_ttl_s} is above max_ttl_s {retention.max_ttl_s}")
    if retention.exempt_where is not None:
        try:
            await queries.check_jsonpath(connection, retention.exempt_where)
        except ValueRefused as error:
            raise StoreInvalid(
                f"retention.exempt_where {retention.exempt_where!r} is no SQL/JSON path that says yes or no, "
                f'such as $.camera == "CAM-3": {error.message}'
            ) from error


def check_upkeep(upkeep: Upkeep) -> None:
    """Raise `StoreInvalid` for what is too short."""
    for name, least in (("reconcile_interval_s", 300), ("fixity_period_s", 3600)):
        given: int = getattr(upkeep, name)
        if 0 < given < least:
            raise StoreInvalid(f"upkeep: {name} {given} is too short; at least {least}, or 0 for never")
