"""The upkeep of stores: comparisons with their rows, what they found, and what is asked for again.

The migration is the truth: names of foreign keys, partial indexes and indexes of several columns can only be said there.
"""

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

# As a module, because Piccolo takes every table class that it sees here for one of this folder's.
from mediastore.placement import tables as placement


class Upkeep(Table, tablename="upkeep"):
    """Who is at work on a store's upkeep, and what kept it from going on.

    The key is (store, task). Piccolo takes the last column that says `primary_key` for all of it, so a row of this table must
    not be saved, refreshed or removed as an object. Statements are fine.
    """

    store = ForeignKey(
        references=placement.Store,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which store; with the task it is the primary key.",
    )
    task = Text(default=None, primary_key=True, help_text="Comparing with the rows or with the checksums: the two don't wait.")
    token = BigInt(
        default=0, help_text="Raised by whoever takes over, so that the one before can't write any more when it wakes."
    )
    held_until = Timestamptz(default=None, null=True, help_text="Until when nobody else may begin; moved ahead by signs of life.")
    problem = Text(default=None, null=True, help_text="What is wrong with the store as a whole, for health and for people.")
    problem_at = Timestamptz(default=None, null=True, help_text="Since when that is so.")
    believed_until = Timestamptz(
        default=None, null=True, help_text="Until then an administrator's word stands that so much is missing indeed."
    )
    objects_read = BigInt(default=0, help_text="Objects that were read for comparison, ever, for the metrics.")
    bytes_read = BigInt(default=0, help_text="Their bytes, which shows the rate at which users share the store with this.")

    upkeep_pkey = Unique([store, task])
    upkeep_task_check = Check("task IN ('reconcile', 'fixity')")


class Reconciliation(Table, tablename="reconciliation"):
    """A comparison of a store's listing with its rows: asked for, under way, or reported."""

    id = BigSerial(primary_key=True, help_text="The order of the reports, and the cursor of a page of them.")
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which store; one comparison of it is open at a time.",
    )
    asked_by = Text(default=None, help_text="The administrator who wanted it, or `system` for the schedule.")
    asked_at = Timestamptz(default=TimestamptzNow(), help_text="When it was asked for, which is before any worker had time.")
    believe_missing = Boolean(default=False, help_text="An administrator's word that so much may be missing as is missing.")
    believe_unknown = Boolean(default=False, help_text="The same of bytes without a row, so that the policy acts on all of them.")
    began_at = Timestamptz(default=None, null=True, help_text="When the first worker took it; null while it waits for one.")
    ended_at = Timestamptz(default=None, null=True, help_text="When the report was complete; null while there is none.")
    after_key = Text(default="", help_text="How far it has come, so that whoever takes over goes on from there.")
    counts = JSONB(default="{}", help_text="What was found and done so far, as the report shows it.")
    stopped_by = Text(default=None, null=True, help_text="Why it ended before its end, in one word; null where it did not.")
    reason = Text(default=None, null=True, help_text="The same as a sentence with the numbers, for people.")


class Finding(Table, tablename="finding"):
    """Something in a store that its rows don't say, and what was decided about it."""

    id = BigSerial(primary_key=True, help_text="By which a decision names it, and the cursor of a page of them.")
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Where it was found.",
    )
    kind = Text(default=None, help_text="What is wrong, which decides what can be done about it.")
    key = Text(default=None, help_text="The store key at which it was found.")
    upload_id = Text(default="", help_text="The store's name of an open multipart upload, of which a key can have several.")
    size = BigInt(default=None, null=True, help_text="Bytes that the store lists there, for people who have to decide.")
    detail = Text(default=None, help_text="What differs, as a sentence.")
    first_seen_at = Timestamptz(default=None, help_text="From then on it counts as old, by our clock and not by the store's.")
    last_seen_at = Timestamptz(default=None, help_text="When it was last found to be still so.")
    times_seen = Integer(default=1, help_text="In how many comparisons, so that what comes and goes can be told.")
    reconciliation = ForeignKey(
        references=Reconciliation,
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        help_text="Which comparison saw it last: what a later one does not see is gone.",
    )
    decision = Text(default=None, null=True, help_text="What is to become of it; null while nobody has said.")
    decided_by = Text(default=None, null=True, help_text="The administrator, or `system` where the store's policy decided.")
    decided_at = Timestamptz(default=None, null=True, help_text="When that was decided.")
    pid = Text(default=None, null=True, help_text="The record whose content it becomes, where it is adopted.")
    done_at = Timestamptz(default=None, null=True, help_text="When the decision was carried out; null while it is not.")
    problem = Text(default=None, null=True, help_text="Why it could not be carried out, for whoever decided it.")

    finding_kind_check = Check("kind IN ('unknown_object', 'unknown_upload', 'size_differs', 'content_differs')")
    finding_decision_check = Check("decision IN ('remove', 'quarantine', 'adopt', 'abort')")
    finding_place_key = Unique([store, kind, key, upload_id])


class Absence(Table, tablename="absence"):
    """A stored object that its store did not list, to be asked for several times before that is believed."""

    stored_object = ForeignKey(
        references=placement.StoredObject,
        primary_key=True,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which object; found again, or declared missing, its row here goes.",
    )
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Whose objects are counted together, because many at once are the store's fault.",
    )
    store_revision = BigInt(
        default=None, help_text="The settings with which it was asked: after a change the asking begins anew."
    )
    asked = Integer(default=0, help_text="How often the store has said that it is not there.")
    first_asked_at = Timestamptz(default=None, null=True, help_text="Since when it has said so each time.")
    next_ask_at = Timestamptz(default=None, help_text="When it is asked again.")
