"""Records, their identifiers, and the types that those have to obey.

The migration is the truth: names of foreign keys, partial indexes and indexes of several columns can only be said there.
"""

from piccolo.columns import JSONB, Array, BigInt, BigSerial, Boolean, Column, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check, Unique
from piccolo.table import Table

# As a module, because Piccolo takes every table class that it sees here for one of this folder's.
from mediastore.placement import tables as placement


class IdentifierType(Table, tablename="identifier_type"):
    """A named rule that PIDs and identifiers of that type must match in full."""

    name = Text(
        default=None,
        primary_key=True,
        help_text="The key itself, since it never changes and is what identifiers are shown under.",
    )
    pattern = Text(
        default=None, help_text="What a value must match in full; RE2, so that no pattern can make the server think for ever."
    )
    is_unique = Boolean(default=False, help_text="Whether a value leads to one record at most, so that it can stand for it.")
    description = Text(default="", help_text="Tells people which values belong here, where the pattern alone does not.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when records can use the type.")
    updated_at = Timestamptz(
        default=TimestamptzNow(), help_text="When the rule last changed; values from before were not judged anew."
    )


class Media(Table, tablename="media"):
    """What a PID names: the record, with a pointer to its current content."""

    id = BigSerial(primary_key=True, help_text="Compact and ordered, so that records join and page cheaply; people see the PID.")
    pid = Text(
        default=None, help_text="The lasting name, never given out again; unique but no foreign key, so that joins stay cheap."
    )
    pid_type = ForeignKey(
        references=IdentifierType,
        null=True,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="The rule that the PID kept when it was given; null for a PID without one.",
    )
    metadata = JSONB(
        default="{}",
        help_text="Free JSON for finding the product again; always an object, so that a merge patch has a place to go.",
    )
    tags = Array(
        base_column=Text(), default=list, help_text="Words for finding the product again, in the order in which they came."
    )
    owner = Text(default=None, help_text="The name of who decides about access, hand-over and deletion.")
    access = Text(default=None, help_text="Who may read besides owner, readers and writers, asked when bytes are served.")
    readers = Array(base_column=Text(), default=list, help_text="User names and `group:NAME` who may read what is not theirs.")
    writers = Array(base_column=Text(), default=list, help_text="User names and `group:NAME` who may read and change the record.")
    public_at = Timestamptz(
        default=None,
        null=True,
        help_text="The end of an embargo: until then `public` does not hold, from then on everyone may read.",
    )
    store = ForeignKey(
        references=placement.Store,
        null=False,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="Where the next content goes; content that is there stays in the store that its object names.",
    )
    status = Text(default=None, help_text="What readers can count on: `ready` is said only of bytes that were verified.")
    status_reason = Text(default=None, null=True, help_text="Why the record failed or was lost, for whoever finds it so.")
    current_object = ForeignKey(
        references=placement.StoredObject,
        null=True,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="What readers get; moved only when new bytes are verified, so that a failed upload changes nothing.",
    )
    version = Integer(
        default=0, help_text="Which content is the current one, so that a reader can ask for it again; 0 before the first."
    )
    expires_at = Timestamptz(
        default=None,
        null=True,
        help_text="From then on the record is expired, whether or not the sweeper came by; null for never.",
    )
    revision = BigInt(default=1, help_text="Raised by every change, so that If-Match keeps people from overwriting each other.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when the PID is taken.")
    updated_at = Timestamptz(default=TimestamptzNow(), help_text="When the revision was last raised; the history says why.")
    deleted_at = Timestamptz(
        default=None, null=True, help_text="A deleted row stays as tombstone, so that its PID answers 410 and is never reused."
    )

    media_pid_key = Unique([pid])
    media_metadata_check = Check("jsonb_typeof(metadata) = 'object'")
    media_access_check = Check("access IN ('private', 'internal', 'public')")
    media_status_check = Check("status IN ('pending', 'ready', 'expired', 'deleted', 'failed', 'lost')")
    media_ready_check = Check("status <> 'ready' OR (current_object IS NOT NULL AND version > 0)")
    media_deleted_check = Check("(status = 'deleted') = (deleted_at IS NOT NULL)")


class Words(Column):
    """PostgreSQL's `tsvector`, which Piccolo does not know."""

    value_type = str

    @property
    def column_type(self) -> str:
        return "TSVECTOR"


class MediaText(Table, tablename="media_text"):
    """The words that a record is found by. Apart from the record, so that changes of other things write to no index of words."""

    media = BigInt(
        default=None,
        primary_key=True,
        help_text="The record; no foreign key, since triggers write, change and remove the row with what it is made of.",
    )
    words = Words(
        default=None,
        index=True,
        index_method=IndexMethod.gin,
        help_text="Of PID, identifiers, file name, tags and metadata, in lower case; no tombstone has any.",
    )


class MetadataField(Table, tablename="metadata_field"):
    """A place in the metadata that an administrator declared, with a type: it has an index of its own."""

    id = BigSerial(primary_key=True, help_text="In the name of the index, so that a field that is declared again has a new one.")
    name = Text(default=None, help_text="What searches call it.")
    path = Array(base_column=Text(), default=None, help_text="The names from the outside in; they stand in the index as well.")
    type = Text(default=None, help_text="What values are compared as; a value of another type counts as none.")
    description = Text(default="", help_text="Tells people what the values mean, and in which unit they are.")
    state = Text(default="building", help_text="Of the index; searches are right before it is ready, and slow.")
    problem = Text(default=None, null=True, help_text="What the database said when the index could not be built.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="Since when searches may name it.")
    ready_at = Timestamptz(default=None, null=True, help_text="Since when searches by it are quick.")

    metadata_field_name_key = Unique([name])
    metadata_field_type_check = Check("type IN ('number', 'text', 'time', 'boolean')")
    metadata_field_state_check = Check("state IN ('building', 'ready', 'failed')")


class Identifier(Table, tablename="identifier"):
    """Another name of a record, one value a type. Rows, not JSON, so that look-ups and uniqueness are the database's.

    The key is (media, type). Piccolo takes the last column that says `primary_key` for all of it, so a row of this table must not
    be saved, refreshed or removed as an object: that would reach every record with that type. Statements are fine.
    """

    media = ForeignKey(
        references=Media,
        null=False,
        primary_key=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Which record it names; a tombstone has none, so that its values can name another.",
    )
    type = ForeignKey(
        references=IdentifierType,
        null=False,
        primary_key=True,
        on_delete=OnDelete.no_action,
        on_update=OnUpdate.no_action,
        help_text="The rule that the value keeps; in the key, because a record has one value a type.",
    )
    value = Text(default=None, help_text="The name in somebody else's books; short enough to be indexed as a whole.")
    is_unique = Boolean(
        default=None, help_text="The type's rule, repeated here because an index can only look at the row that it indexes."
    )

    identifier_pkey = Unique([media, type])
    identifier_value_check = Check("length(value) BETWEEN 1 AND 600")
