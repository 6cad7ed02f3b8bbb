"""Stores, the S3 configs that they share, and the objects that lie in them.

The migration is the truth: names of foreign keys, partial indexes and indexes of several columns can only be said there.
"""

from piccolo.columns import JSONB, UUID, Array, BigInt, BigSerial, Boolean, Bytea, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.reference import LazyTableReference
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class S3Config(Table, tablename="s3_config"):
    """Endpoint, region and credentials that several S3 stores share."""

    id = BigSerial(primary_key=True, help_text="Compact and ordered, for rows that point here; people see the name.")
    name = Text(default=None, help_text="What people and stores call the config by.")
    endpoint_url = Text(default=None, null=True, help_text="Where the S3 API answers; null for AWS, which is found by region.")
    region = Text(default=None, null=True, help_text="A part of every signature; null where the endpoint has only one.")
    addressing_style = Text(
        default=None,
        help_text="Whether a bucket is named in the path or in the host name: many S3 servers know only one of them.",
    )
    access_key_sealed = Bytea(
        default=None,
        null=True,
        secret=True,
        help_text="Encrypted, for secrets go in and never come out; null to use the server's own AWS credentials.",
    )
    secret_key_sealed = Bytea(
        default=None, null=True, secret=True, help_text="The other half of the pair, encrypted too: both are there or neither is."
    )
    revision = BigInt(default=1, help_text="Raised by every change, so that what was built from an older one can be told.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when stores can use it.")
    updated_at = Timestamptz(default=TimestamptzNow(), help_text="When it last changed; the history says what.")

    s3_config_name_key = Unique([name])
    s3_config_addressing_style_check = Check("addressing_style IN ('path', 'virtual')")
    s3_config_keys_check = Check("(access_key_sealed IS NULL) = (secret_key_sealed IS NULL)")


class Store(Table, tablename="store"):
    """A named place for bytes: kind, location, policies. A name is unique among those that are not deleted."""

    id = BigSerial(primary_key=True, help_text="Compact and ordered, for rows that point here, whatever becomes of the name.")
    name = Text(default=None, help_text="What people call the place; free again after deletion, because rows point at the id.")
    kind = Text(
        default=None, help_text="Which code talks to it: s3, filesystem, memory, or one of a plug-in, so no check lists them."
    )
    bucket = Text(default=None, null=True, help_text="Where an S3 store keeps its objects; null for kinds without buckets.")
    prefix = Text(default="", help_text="Goes before every store key, so that several stores can share a bucket.")
    path = Text(default=None, null=True, help_text="The folder of a filesystem store, which lies below an allowed root.")
    s3_config = ForeignKey(
        references=S3Config,
        null=True,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="Endpoint and credentials are kept once, so that stores which share them change together.",
    )
    options = JSONB(default="{}", help_text="What only this kind of store understands, so that a new kind needs no new column.")
    checksums = Array(
        base_column=Text(),
        default=["md5", "sha256"],
        help_text="Algorithms that the server computes of every object, so that there is a fact whatever the client claims.",
    )
    retention = JSONB(default="{}", help_text="How long the store keeps what it is given, where the record does not say.")
    quota = JSONB(default="{}", help_text="What the store may hold, uploads under way included; an absent limit is none.")
    brake = JSONB(
        default=None, null=True, help_text="Which sweep was stopped and why: no other runs before an administrator has looked."
    )
    upkeep = JSONB(default="{}", help_text="How often the store is compared with its rows, and what becomes of what differs.")
    enabled = Boolean(default=True, help_text="Switched off, it takes and gives no bytes but loses none; purging goes on.")
    incarnation = UUID(
        default=None,
        null=True,
        help_text="The process in which a memory store lives: a new one means that what it held before is lost.",
    )
    revision = BigInt(
        default=1, help_text="Raised by every change of the store or its S3 config, so that every process opens it anew."
    )
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when records can be placed there.")
    updated_at = Timestamptz(default=TimestamptzNow(), help_text="When it last changed; the history says what.")
    deleted_at = Timestamptz(default=None, null=True, help_text="A deleted row stays, for the tombstones that point at it.")


class StoredObject(Table, tablename="stored_object"):
    """One immutable run of bytes at one store key in one store. Committed before its bytes are sent, and outlives them."""

    id = BigSerial(primary_key=True, help_text="Compact and ordered; with the version it makes the ETag of the content.")
    # Named rather than imported: catalog is above placement.
    media: ForeignKey[Table] = ForeignKey(
        references=LazyTableReference("Media", module_path="mediastore.catalog.tables"),
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        help_text="Whose content it is; null once that record was withdrawn, when the row goes with its bytes.",
    )
    version = Integer(
        default=None,
        null=True,
        help_text="Which content of the record it is; given with the bytes verified, so that a failed upload uses up no number.",
    )
    store = ForeignKey(
        references=Store,
        null=False,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="Where the bytes lie, whatever store the record's next content goes to; copies are rows of their own.",
    )
    key = Text(
        default=None, help_text="Where in the store the object lies: chosen by the server, never recomputed, never reused."
    )
    size = BigInt(
        default=None, null=True, help_text="Bytes, as counted and as the store holds them; null until that is verified."
    )
    media_type = Text(
        default=None, help_text="What readers are told that the bytes are; the client's word, never found out here."
    )
    filename = Text(
        default=None,
        null=True,
        help_text="What a download is called on the reader's disk, since the store key means nothing there.",
    )
    checksums = JSONB(
        default="{}", help_text="By algorithm the value, who attests it and when, so that a claim is never taken for a fact."
    )
    state = Text(default=None, help_text="How far the bytes have come or gone, so that whatever a crash leaves can be found.")
    state_reason = Text(default=None, null=True, help_text="Why the bytes have to go, or are missing.")
    doomed_at = Timestamptz(
        null=True,
        default=None,
        help_text="When it was decided that the bytes go, so that what waits too long shows in the metrics.",
    )
    attempts = Integer(default=0, help_text="Failed tries to remove the bytes, so that each further one waits longer.")
    purge_problem = Text(
        default=None, null=True, help_text="What the store answered when the bytes would not go; null once they have, or before."
    )
    next_attempt_at = Timestamptz(
        default=TimestamptzNow(),
        help_text="When the bytes are due to go; whoever takes the row moves it ahead, so that nobody else takes it too.",
    )
    created_at = Timestamptz(
        default=TimestamptzNow(), help_text="When the key was announced, which is before any byte was there."
    )
    stored_at = Timestamptz(
        default=None, null=True, help_text="When size and checksums were verified; from then on the object never changes."
    )
    checked_at = Timestamptz(
        default=None,
        null=True,
        help_text="When the bytes were last compared with this row, or that was tried: `fixity` tells how it went.",
    )
    fixity = Text(
        default=None,
        null=True,
        help_text="How the last comparison went, so that a fault is told from bytes that are gone or changed.",
    )
    fixity_detail = Text(default=None, null=True, help_text="What was found where it did not go well, for whoever looks into it.")
    recheck_at = Timestamptz(
        default=None,
        null=True,
        help_text="When the bytes are to be compared out of turn; null for those that wait for their turn.",
    )
    superseded_at = Timestamptz(
        default=None, null=True, help_text="Since when it is not the current content, from which on old versions are counted."
    )
    sweep = BigInt(
        default=None,
        null=True,
        help_text="Which sweep decided that it goes, so that its report can be finished whoever removes the bytes. "
        "No foreign key: a sweep writes it a thousand times over.",
    )
    receipt = JSONB(
        default=None,
        null=True,
        help_text="What the store answered when the bytes went, as proof that the deletion was carried out.",
    )

    stored_object_key_key = Unique([store, key])
    stored_object_state_check = Check(
        "state IN ('writing', 'verifying', 'stored', 'purging', 'purged', 'quarantined', 'missing')"
    )
    stored_object_fixity_check = Check("fixity IN ('ok', 'missing', 'mismatch', 'error')")
    stored_object_stored_check = Check(
        "state <> 'stored' OR (media IS NOT NULL AND version IS NOT NULL AND size IS NOT NULL AND stored_at IS NOT NULL)"
    )


class StoreUsage(Table, tablename="store_usage"):
    """What each owner has in each store, kept by triggers on the objects, so that a quota is checked without counting them.

    The key is (store, owner). Piccolo takes the last column that says `primary_key` for all of it, so a row of this table must
    not be saved, refreshed or removed as an object. Statements are fine.
    """

    store = ForeignKey(
        references=Store,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which store; with the owner it is the primary key.",
    )
    owner = Text(
        default=None, primary_key=True, help_text="The owner of the records, whose share moves along when a record is handed on."
    )
    object_count = BigInt(default=None, help_text="Stored objects, old versions included.")
    byte_count = BigInt(default=None, help_text="Their sizes together, which is what a quota of bytes is held against.")

    store_usage_pkey = Unique([store, owner])


class StoreDay(Table, tablename="store_day"):
    """What each store held at the end of each day, as far as anybody looked.

    A total kept, because counting afresh what was there on a day of last year would read every object.

    The key is (store, day). Piccolo takes the last column that says `primary_key` for all of it, so a row of this table must
    not be saved, refreshed or removed as an object. Statements are fine.
    """

    store = ForeignKey(
        references=Store,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which store; with the day it is the primary key.",
    )
    day = Date(default=None, primary_key=True, help_text="By the calendar in UTC; a day on which no server ran has no row.")
    object_count = BigInt(default=None, help_text="Stored objects, old versions included, as the day was last looked at.")
    byte_count = BigInt(default=None, help_text="Their sizes together.")

    store_day_pkey = Unique([store, day])
