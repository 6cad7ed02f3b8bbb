"""Accounts, their groups and API keys, and the log-in throttle.

The migration is the truth: names of foreign keys, partial indexes and indexes of several columns can only be said there.
"""

from piccolo.columns import UUID, Array, BigSerial, Boolean, Bytea, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class Account(Table, tablename="account"):
    """Somebody who can log in, person or pipeline."""

    id = BigSerial(primary_key=True, help_text="Compact and ordered, for rows that point here; people see the name.")
    name = Text(
        default=None,
        help_text="What people log in with and what records call their owner; never given to another, even after deletion.",
    )
    role = Text(default=None, help_text="The most that the account may ever do, whatever the scopes of its keys and tokens say.")
    password_hash = Text(
        default=None,
        null=True,
        secret=True,
        help_text="Argon2id, so that a stolen database tells no password; null for an account that can't log in by password.",
    )
    credential_version = Integer(
        default=1, help_text="Every token carries it, so that raising it makes all tokens issued before worthless."
    )
    disabled = Boolean(default=False, help_text="Shuts every way in without forgetting who it was, and can be undone.")
    issuer = Text(
        default=None,
        null=True,
        help_text="The outside service whose tokens are this account's, so that no other can claim the name; null for our own.",
    )
    full_name = Text(
        default=None, null=True, help_text="What people call its holder, as the outside service says; decides about nothing."
    )
    email = Text(
        default=None, null=True, help_text="Where its holder has mail, as the outside service says; decides about nothing."
    )
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when the name is taken.")
    updated_at = Timestamptz(
        default=TimestamptzNow(), help_text="When role, groups or credentials last changed; the history says what."
    )
    deleted_at = Timestamptz(
        default=None, null=True, help_text="A deleted row stays, so that the name never becomes another person's."
    )

    account_name_key = Unique([name])
    account_role_check = Check("role IN ('administrator', 'editor', 'reader')")


class GroupMember(Table, tablename="group_member"):
    """Who is in which group. A group is nothing but its members' rows.

    The key is (account, group_name). Piccolo takes the last column that says `primary_key` for all of it, so a row of this table
    must not be saved, refreshed or removed as an object: that would reach the whole group. Statements are fine.
    """

    account = ForeignKey(
        references=Account,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Who belongs to the group; asked anew when bytes are served, so that leaving it takes effect.",
    )
    group_name = Text(
        default=None, primary_key=True, help_text="What `group:NAME` means among the readers and writers of a record."
    )

    group_member_pkey = Unique([account, group_name])


class ApiKey(Table, tablename="api_key"):
    """A secret that stands for an account, with a part of its rights."""

    id = UUID(
        default=None, primary_key=True, help_text="A part of the key that is no secret, so that the row is found without one."
    )
    account = ForeignKey(
        references=Account,
        null=False,
        index=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Whose rights the key carries: it never does more than its account may at that moment.",
    )
    name = Text(default=None, help_text="What the key is for, so that its holder knows which one to revoke.")
    secret_hash = Bytea(
        default=None, secret=True, help_text="Only a hash is kept, so that a stolen database holds no key that works."
    )
    scopes = Array(
        base_column=Text(),
        default=None,
        help_text="The most that the key may do, so that a pipeline gets no more than it needs.",
    )
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Tells keys of the same name apart.")
    expires_at = Timestamptz(
        default=None, null=True, help_text="The key ends by itself then; null for one that lasts until it is revoked."
    )
    revoked_at = Timestamptz(
        default=None,
        null=True,
        help_text="A revoked key stays written down, so that the history's lines about it lead somewhere.",
    )


class LoginThrottle(Table, tablename="login_throttle"):
    """Failed log-ins, counted across all workers so that guessing gets slow everywhere at once."""

    key = Text(
        default=None,
        primary_key=True,
        help_text="Whose attempts are counted: a name from an address, an address, or a name from anywhere.",
    )
    failures = Integer(
        default=None,
        help_text="Attempts in a row; raised before the password is looked at, so that guesses at the same moment count too.",
    )
    last_failure_at = Timestamptz(
        default=None, index=True, help_text="After a quiet while counting starts afresh, and the row may go."
    )
    blocked_until = Timestamptz(default=None, help_text="Until then every attempt is refused unheard.")
