"""Transfers in progress.

The migration is the truth: names of foreign keys and unique indexes, and partial indexes can only be said there.
"""

from piccolo.columns import UUID, BigInt, Boolean, ForeignKey, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check
from piccolo.table import Table

# As a module, because Piccolo takes every table class that it sees here for one of this folder's.
from mediastore.placement import tables as placement


class Upload(Table, tablename="upload"):
    """A transfer in progress, written down before its first byte moves."""

    id = UUID(default=None, primary_key=True, help_text="Known before the row is, and it tells nobody how many others there are.")
    stored_object = ForeignKey(
        references=placement.StoredObject,
        null=False,
        unique=True,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="What the bytes become; never shared, so that giving up one upload can't take another's bytes.",
    )
    method = Text(default=None, help_text="How the bytes travel, which decides who can see that they have stopped.")
    state = Text(
        default=None, help_text="Only an open upload can be completed or given up, so that exactly one of the two happens."
    )
    caller = Text(default=None, help_text="The name of who began it, so that an upload that hangs leads to somebody.")
    created_record = Boolean(
        default=None, help_text="Whether it made its record, so that a refused upload takes an untouched record back with it."
    )
    size = BigInt(default=None, null=True, help_text="Bytes that the client declared: compared with what comes, never believed.")
    part_size = BigInt(
        default=None, null=True, help_text="Bytes of each part but the last, so that the URL of any part can be made again."
    )
    s3_upload_id = Text(
        default=None, null=True, help_text="The store's own name of a multipart upload, so that it is aborted whatever happens."
    )
    reserved = BigInt(
        default=0, help_text="Bytes held back from a quota, so that uploads at the same moment can't overrun it together."
    )
    reason = Text(default=None, null=True, help_text="Why it was given up, for whoever asks what became of it.")
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was written down, which is before any byte moved.")
    last_activity = Timestamptz(
        default=TimestamptzNow(), help_text="The last sign of life: an upload is given up for its silence, not for its age."
    )
    expires_at = Timestamptz(
        default=None, null=True, help_text="When its presigned URLs end; null for a proxied upload, which has none."
    )

    upload_method_check = Check("method IN ('proxied', 'put', 'post', 'multipart')")
    upload_state_check = Check("state IN ('open', 'verifying', 'completed', 'failed')")
