"""What a store may hold, what it holds, and what uploads under way have been promised of the rest."""

from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Connection, Database
from mediastore.placement import queries
from mediastore.placement.errors import AllowanceExceeded, QuotaExceeded, StoreNotFound
from mediastore.placement.queries import StoreRow
from mediastore.placement.schemas import Amount, StoreTotals, Usage


class Quotas:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self, name: str, *, caller: Caller) -> Usage:
        """What is used and reserved: of the whole store and of every owner for administrators, of their own for others."""
        require(caller.identity, "read", to="see what a store holds")
        async with self._database.connection() as connection:
            row = await queries.store_by_name(connection, name)
            if row is None:
                raise StoreNotFound(f"there is no store {name!r}", store=name)
            owner = None if caller.identity.administrator else caller.identity.name
            owners = await queries.usage_by_owner(connection, row.id, owner=owner)
        used, reserved = _total([item.used for item in owners]), _total([item.reserved for item in owners])
        return Usage(store=name, quota=row.limits(), used=used, reserved=reserved, owners=owners)

    async def totals(self, *, caller: Caller) -> dict[str, StoreTotals]:
        """The same of every store as a whole, by its name, for administrators."""
        require(caller.identity, "admin", to="see what stores hold")
        async with self._database.connection() as connection:
            return {item.store: item for item in await queries.usage_by_store(connection)}


class _Limit(Struct, frozen=True, kw_only=True):
    name: str
    most: int | None
    taken: int
    """Used and reserved together."""
    more: int


async def reserve(connection: Connection, store: StoreRow, *, owner: str, size: int, objects: int = 1) -> None:
    """Raise `QuotaExceeded` unless so much more fits into the store's quota, beside what others were promised.

    Until the transaction ends nobody else can be promised anything of the same store; its row for the upload is the promise.
    """
    quota = store.limits()
    if not quota.any():
        return
    await queries.lock_quota(connection, store.id)
    owners = await queries.usage_by_owner(connection, store.id, owner=None)
    whole = _total([item.used for item in owners] + [item.reserved for item in owners])
    own = _total([amount for item in owners if item.owner == owner for amount in (item.used, item.reserved)])
    limits = (
        _Limit(name="bytes", most=quota.bytes, taken=whole.bytes, more=size),
        _Limit(name="objects", most=quota.objects, taken=whole.objects, more=objects),
        _Limit(name="bytes_per_owner", most=quota.bytes_per_owner, taken=own.bytes, more=size),
        _Limit(name="objects_per_owner", most=quota.objects_per_owner, taken=own.objects, more=objects),
    )
    for limit in limits:
        if limit.most is not None and limit.more > 0 and limit.taken + limit.more > limit.most:
            # How much others have is not for everybody.
            told = {"taken": limit.taken} if limit.name.endswith("_per_owner") else {}
            raise QuotaExceeded(
                f"the quota {limit.name} of the store {store.name} is {limit.most}, and of that "
                + (f"{limit.taken} are used or reserved" if told else "too much is used or reserved")
                + f": {limit.more} more do not fit",
                store=store.name,
                quota=limit.name,
                limit=limit.most,
                asked=limit.more,
                **told,
            )


async def reserve_share(
    connection: Connection, store: StoreRow, *, owner: str, public: bool, joining: int | None, size: int, most: int
) -> None:
    """Raise `AllowanceExceeded` unless this owner's public, or other, records in the store have room for so much more in `most`.

    `joining`: a record that is among the others, and comes along with all that it has. As with `reserve`, the row for the upload
    is the promise; until the transaction ends the same owner gets no other.
    """
    await queries.lock_share(connection, store.id, owner=owner)
    taken = await queries.share_of_owner(connection, store.id, owner=owner, public=public, joining=joining)
    if (size > 0 or joining is not None) and taken + size > most:
        kind = "public" if public else "private"
        raise AllowanceExceeded(
            f"{owner} may have {most} bytes in {kind} records, and has or has reserved {taken}: {size} more do not fit",
            limit=most,
            taken=taken,
            asked=size,
        )


def _total(amounts: list[Amount]) -> Amount:
    return Amount(bytes=sum(amount.bytes for amount in amounts), objects=sum(amount.objects for amount in amounts))
