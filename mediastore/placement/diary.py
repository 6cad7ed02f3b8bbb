"""What each store held on each day: noted by a schedule, so that how it grew is read from a row a day, however much it holds."""

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Database
from mediastore.placement import queries
from mediastore.placement.errors import StoreNotFound
from mediastore.placement.schemas import Growth


class Diary:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self) -> None:
        """Note what each store holds as what it holds today. Done twice, at once or by others, it says the same."""
        async with self._database.connection() as connection:
            await queries.note_day(connection)

    async def growth(self, name: str, *, days: int, caller: Caller) -> Growth:
        """What a store held on each of the last days, for administrators."""
        require(caller.identity, "admin", to="see how a store grows")
        async with self._database.connection() as connection:
            row = await queries.store_by_name(connection, name)
            if row is None:
                raise StoreNotFound(f"there is no store {name!r}", store=name)
            return Growth(store=name, items=await queries.days_held(connection, row.id, days=days))
