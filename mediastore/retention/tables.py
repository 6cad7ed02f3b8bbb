"""Holds and sweeps.

The migration is the truth: names of foreign keys and partial indexes can only be said there.
"""

from piccolo.columns import UUID, BigInt, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.reference import LazyTableReference
from piccolo.constraints import Check, Unique
from piccolo.table import Table

# As modules, because Piccolo takes every table class that it sees here for one of this folder's.
from mediastore.catalog import tables as catalog
from mediastore.placement import tables as placement


class Hold(Table, tablename="hold"):
    """Why a record must not go. Several can stand on one; a lifted one stays, so that it is known who did it."""

    id = UUID(default=None, primary_key=True, help_text="To lift this one and no other.")
    media = ForeignKey(
        references=catalog.Media,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="What must not go.",
    )
    placed_by = Text(default=None, help_text="Whom to ask, and who may lift it beside administrators.")
    reason = Text(default=None, help_text="Why, for whoever wonders years later.")
    until = Timestamptz(default=None, null=True, help_text="When it ends by itself; null until it is lifted.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when it holds.")
    lifted_by = Text(default=None, null=True, help_text="Who answers for its end.")
    lifted_at = Timestamptz(default=None, null=True, help_text="When it was lifted; null while it holds.")


class Sweep(Table, tablename="sweep"):
    """One run over one store, a rehearsal or a real one, and its report."""

    id = BigSerial(primary_key=True, help_text="What people and runs that are bound to a rehearsal call it by.")
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Whose policy decides.",
    )
    dry_run = Boolean(default=None, help_text="A rehearsal lists and removes nothing.")
    rehearsal: ForeignKey[Table] = ForeignKey(
        references=LazyTableReference("Sweep", module_path="mediastore.retention.tables"),
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        help_text="What it is bound to: it removes nothing that was not listed there.",
    )
    approved = Boolean(default=None, help_text="Whether an administrator's word stands for the brake.")
    requested_by = Text(default=None, help_text="Who wanted it; the schedule is `system`.")
    state = Text(default=None, help_text="How far it is; one of a store can be running.")
    runner = UUID(default=None, help_text="Which process has it: one that stalled and wakes is told by this that it has lost it.")
    lease_until = Timestamptz(default=None, help_text="When another process may take it over.")
    cutoff = Timestamptz(default=None, help_text="What had expired then, grace included, goes: the same for all of a run.")
    found = BigInt(default=0, help_text="Records and old versions that were due.")
    removed = BigInt(default=0, help_text="How many of them it decided to remove.")
    object_count = BigInt(default=0, help_text="Stored objects of those, which is what the brake counts.")
    byte_count = BigInt(default=0, help_text="Their sizes together, which the brake counts too.")
    bytes_freed = BigInt(default=0, help_text="Bytes that stores confirmed to be gone.")
    bytes_kept = BigInt(default=0, help_text="Bytes that stores only hid, behind delete markers, which frees nothing.")
    held = BigInt(default=0, help_text="Due, and kept by a hold.")
    exempt = BigInt(default=0, help_text="Due, and kept by an exemption of the policy.")
    failed = BigInt(default=0, help_text="Objects that a store did not let go of yet.")
    stopped_by = Text(default=None, null=True, help_text="Which limit of the brake stopped it.")
    detail = Text(default=None, null=True, help_text="The same in words, or what went wrong.")
    started_at = Timestamptz(default=TimestamptzNow(), help_text="When it began, from which the next one's interval counts.")
    finished_at = Timestamptz(default=None, null=True, help_text="When it ended, one way or the other.")

    sweep_state_check = Check("state IN ('running', 'done', 'stopped', 'failed')")


class SweepItem(Table, tablename="sweep_item"):
    """What a rehearsal would remove.

    The key is (sweep, media, version). Piccolo takes the last column that says `primary_key` for all of it, so a row of this
    table must not be saved, refreshed or removed as an object. Statements are fine.
    """

    sweep = ForeignKey(
        references=Sweep,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which rehearsal listed it; the list goes with it.",
    )
    media = BigInt(default=None, primary_key=True, help_text="The record; no foreign key, since the list outlives it.")
    version = Integer(default=None, primary_key=True, help_text="Which old version; 0 for the whole record.")
    pid = Text(default=None, help_text="What people know the record by.")
    rule = Text(default=None, help_text="Why it may go: expired, or an old version.")
    due_at = Timestamptz(default=None, help_text="Since when it may go, which is the order of the list.")
    object_count = BigInt(default=None, help_text="Stored objects that would go with it.")
    byte_count = BigInt(default=None, help_text="Their sizes together.")

    sweep_item_pkey = Unique([sweep, media, version])
