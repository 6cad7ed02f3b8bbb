"""Transfers in progress.

The migration is the truth: names of foreign keys and unique indexes, and partial indexes can only be said there.
"""

from piccolo.columns import JSONB, UUID, BigInt, Boolean, ForeignKey, Integer, Text, Timestamptz
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
        default=None, null=True, help_text="When it is given up, unless there is a sign of life; null for a proxied upload."
    )

    pid = Text(default=None, null=True, help_text="Whose content it was to become, also once that record was withdrawn.")
    about = JSONB(default="{}", help_text="What the client said of the record, which takes effect together with the content.")
    claims = JSONB(
        default="{}", help_text="Digests that the client declared, by algorithm: compared with what comes, never believed."
    )
    landing = ForeignKey(
        references=placement.StoredObject,
        null=True,
        on_delete=OnDelete.set_null,
        on_update=OnUpdate.no_action,
        help_text="Where the bytes come first: in the store that would let them be overwritten, or in parts to their places.",
    )
    version_before = Integer(
        default=None,
        null=True,
        help_text="The record's content when it began: nobody's forgotten upload comes to lie above what was stored since.",
    )
    urls_until = Timestamptz(
        default=None,
        null=True,
        help_text="When the last presigned URL ends: until then, and a while longer, bytes may come to these keys.",
    )
    verifying_at = Timestamptz(
        default=None,
        null=True,
        help_text="Since when it is verified, so that a store which shows nothing is believed in the end.",
    )
    problem = JSONB(default=None, null=True, help_text="What was claimed and what was found, for whoever asks why it failed.")

    upload_method_check = Check("method IN ('proxied', 'put', 'post', 'multipart')")
    upload_state_check = Check("state IN ('open', 'verifying', 'completed', 'failed')")


class UploadPart(Table, tablename="upload_part"):
    """A part that comes to this server: in its place in the content to be, or an object of its own until that is completed."""

    stored_object = ForeignKey(
        references=placement.StoredObject,
        primary_key=True,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        help_text="Where its bytes lie; a part that is sent again has another, so that none is ever half overwritten.",
    )
    upload = ForeignKey(
        references=Upload,
        null=False,
        on_delete=OnDelete.cascade,
        on_update=OnUpdate.no_action,
        index=True,
        help_text="What it is a part of, so that ending the upload ends all that came of it.",
    )
    number = Integer(default=None, help_text="Its place, counted from 1 as S3 does, so that clients need one way of counting.")
    size = BigInt(default=None, help_text="Bytes, as planned and as they came.")
    in_place = Boolean(
        default=False,
        help_text="Whether its bytes go to their place in the upload's landing, and no other's do; else they lie by themselves.",
    )
    checksums = JSONB(default="{}", help_text="Digests by algorithm that the server computed as the bytes passed.")
    received_at = Timestamptz(
        default=None,
        null=True,
        help_text="When it was there, whole and durable; null while it comes, and for one that never came.",
    )
    last_activity = Timestamptz(
        default=TimestamptzNow(), help_text="The last sign of life of one that comes, so that a dead one is cleaned up."
    )

    upload_part_number_check = Check("number BETWEEN 1 AND 10000")
