"""What happened.

The migration is the truth: the trigger `history_append_only`, which refuses every UPDATE, DELETE and TRUNCATE, and the partial
indexes can only be said there.
"""

from piccolo.columns import JSONB, BigInt, BigSerial, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table


class History(Table, tablename="history"):
    """One line for each change, written in the transaction of the change itself."""

    id = BigSerial(primary_key=True, help_text="The order of a subject's events, and the cursor of a page of them.")
    kind = Text(default=None, help_text="What sort of thing it happened to, because a store and a record may share a name.")
    subject = Text(default=None, help_text="The thing's name at that time, so that the line can be read when the thing is gone.")
    media = BigInt(
        default=None,
        null=True,
        help_text="The record, where it was one; no foreign key, because history outlives what it tells of.",
    )
    revision = BigInt(
        default=None, null=True, help_text="The record's revision that the change made, so that an ETag leads to what made it."
    )
    at = Timestamptz(
        default=TimestamptzNow(), help_text="The time of the transaction, the same for the change and for this line of it."
    )
    actor = Text(default=None, help_text="The name of the account, or `system` for what the server does by itself.")
    action = Text(default=None, help_text="What was done, in one word, so that events can be filtered without reading changes.")
    changes = JSONB(default=None, help_text="Each changed field before and after, so that nothing has to be guessed; no secrets.")
    request_id = Text(default=None, null=True, help_text="Leads from the event to the log lines of the request that caused it.")
