"""Objects that lie in a store already, on their way to a record; and the scans that find many of them.

The migration is the truth: names of foreign keys, partial indexes and indexes of several columns can only be said there.
"""

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

# As modules, because Piccolo takes every table class that it sees here for one of this folder's.
from mediastore.catalog import tables as catalog
from mediastore.placement import tables as placement


class Scan(Table, tablename="scan"):
    """A run over a store's listing that registers every object which no row names."""

    id = BigSerial(primary_key=True, help_text="By which people ask for it, and the cursor of a page of them.")
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Whose listing it reads.",
    )
    prefix = Text(default=None, help_text="What the keys begin with; empty for the whole store.")
    pid_pattern = Text(default=None, help_text="How a key becomes a PID, so that whoever takes over makes the same ones.")
    about = JSONB(default="{}", help_text="What is said of every record that it makes.")
    media_type = Text(default=None, null=True, help_text="Of every object; null where the store or the key's ending tells.")
    min_age_s = Integer(default=None, help_text="Younger objects are left alone: somebody may still be writing them.")
    state = Text(default="running", help_text="Whether there is more to do; only a running scan registers anything.")
    after_key = Text(default="", help_text="How far it has come, so that whoever takes over goes on from there.")
    listed = BigInt(default=0, help_text="Objects that it has seen, up to that key.")
    named = BigInt(default=0, help_text="Of those, the ones that a row named already: nothing is registered twice.")
    young = BigInt(default=0, help_text="Of those, the ones that were too young.")
    reason = Text(default=None, null=True, help_text="Why it was stopped before its end, as a sentence.")
    caller = Text(default=None, help_text="The administrator who wanted it, in whose name it acts.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was asked for.")
    ended_at = Timestamptz(default=None, null=True, help_text="When it came to its end, or was stopped; null while it runs.")

    scan_state_check = Check("state IN ('running', 'done', 'stopped')")


class Registration(Table, tablename="registration"):
    """An object that lies in a store already and is to become a record's content, written down before its bytes are read."""

    id = BigSerial(primary_key=True, help_text="By which people ask for it, and the cursor of a page of them.")
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Where the object lies.",
    )
    key = Text(default=None, help_text="The key that somebody else has chosen for it.")
    scan = ForeignKey(
        references=Scan,
        null=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which scan has found it; null where somebody named the key.",
    )
    stored_object = ForeignKey(
        references=placement.StoredObject,
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        index=True,
        help_text="The row that claims the key meanwhile; null once it failed, for the bytes are nobody's again.",
    )
    media = ForeignKey(
        references=catalog.Media,
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        index=True,
        help_text="Whose content it is to become; null once that record was withdrawn.",
    )
    pid = Text(default=None, help_text="The same by name, also of a record that could not be made.")
    created_record = Boolean(
        default=None, help_text="Whether it made its record, so that a failure takes an untouched record back with it."
    )
    about = JSONB(default="{}", help_text="What was said of a record that was there before: takes effect with the content.")
    claims = JSONB(default="{}", help_text="Digests that were claimed, by algorithm: compared with the bytes, never believed.")
    size = BigInt(default=None, null=True, help_text="Bytes, as the store said when it began, for people who wait.")
    state = Text(default=None, help_text="Only one that waits can be done or fail, so that exactly one of the two happens.")
    problem = JSONB(default=None, null=True, help_text="What was wrong, for whoever asks why it failed.")
    caller = Text(default=None, help_text="The administrator who wanted it, in whose name it is published.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was written down, which is before any byte was read.")
    ended_at = Timestamptz(default=None, null=True, help_text="When it was done or had failed; null while it waits.")

    registration_state_check = Check("state IN ('waiting', 'done', 'failed')")
    registration_scan_key = Unique([scan, key])
