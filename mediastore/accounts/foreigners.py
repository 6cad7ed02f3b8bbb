"""Accounts of those who log in elsewhere: made when they first come, and as their newest token says from then on."""

from mediastore.accounts import queries
from mediastore.accounts.errors import CredentialsWrong
from mediastore.accounts.issuers import Foreigner
from mediastore.accounts.names import RESERVED_NAMES
from mediastore.accounts.queries import AccountRow
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.events import queries as events
from mediastore.events.schemas import NOT_A_PERSON, Change


class Foreigners:
    """They have a row like everybody: they own records, can be switched off, and jobs that end what they began know them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, who: Foreigner) -> AccountRow:
        """Raises `CredentialsWrong` where the name is another's here, or the account was switched off or deleted."""
        if who.name.lower() in RESERVED_NAMES:
            raise CredentialsWrong(f"the name {who.name} is the server's own")
        async with self._database.connection() as connection:
            row = await queries.account_by_name(connection, who.name)
        if row is None or _said(row) != _said(who):
            row = await self._written(who)
        if row.issuer != who.issuer:
            raise CredentialsWrong(f"the name {who.name} is somebody else's on this server")
        if row.disabled:
            raise CredentialsWrong(f"the account {who.name} is switched off")
        return row

    async def _written(self, who: Foreigner) -> AccountRow:
        try:
            async with self._database.transaction() as connection:
                row = await queries.account_by_name(connection, who.name, lock=True)
                if row is None:
                    await queries.insert_account(
                        connection, name=who.name, password_hash=None, role=who.role, groups=who.groups, issuer=who.issuer
                    )
                    await self._note(connection, who, "created", {"issuer": Change(after=who.issuer)}, before=None)
                elif row.issuer == who.issuer:
                    await queries.update_account(
                        connection,
                        row.id,
                        role=who.role,
                        disabled=row.disabled,
                        groups=who.groups,
                        password_hash=None,
                        new_credentials=False,
                    )
                    await self._note(connection, who, "changed", {}, before=row)
                if row is None or row.issuer == who.issuer:
                    await queries.call_account(connection, who.name, full_name=who.full_name, email=who.email)
                written = await queries.account_by_name(connection, who.name)
        except ConstraintViolated as error:
            if error.constraint != "account_name_key":
                raise
            written = None
        if written is None:  # made at the same moment, or a tombstone
            async with self._database.connection() as connection:
                written = await queries.account_by_name(connection, who.name)
        if written is None:
            raise CredentialsWrong(f"the account {who.name} was deleted; names are not given out twice")
        return written

    async def _note(
        self, connection: Connection, who: Foreigner, action: str, changes: dict[str, Change], *, before: AccountRow | None
    ) -> None:
        groups = sorted(set(who.groups))
        if before is None or before.role != who.role:
            changes["role"] = Change(before=None if before is None else before.role, after=who.role)
        if before is None or sorted(before.groups) != groups:
            changes["groups"] = Change(before=None if before is None else sorted(before.groups), after=groups)
        # The history is for ever, and what somebody is called need not be.
        if before is not None and before.full_name != who.full_name:
            changes["full_name"] = Change(after="changed")
        if before is not None and before.email != who.email:
            changes["email"] = Change(after="changed")
        await events.append(
            connection,
            kind="account",
            subject=who.name,
            actor=NOT_A_PERSON,
            action=action,
            changes=changes,
            request_id=None,
        )


def _said(who: Foreigner | AccountRow) -> tuple[str, set[str], str | None, str | None]:
    """What a token says of somebody, and an account keeps."""
    return who.role, set(who.groups), who.full_name, who.email
