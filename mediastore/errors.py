"""The root of every error that this product raises on purpose.

    MediastoreError             code, message, fields, retryable
    ├── DatabaseError           mediastore.database: the database is away, too slow or refused a value
    ├── AccountError            mediastore.accounts.errors
    ├── JobError                mediastore.jobs.errors
    ├── PlacementError          mediastore.placement.errors
    ├── CatalogError            mediastore.catalog.errors
    ├── TransferError           mediastore.transfers.errors
    ├── RegisteringError        mediastore.registering.errors
    ├── MomentInvalid           mediastore.clock: a time at the ends of the calendar
    ├── EmbeddedError           mediastore.embedded_errors
    ├── RequestError            mediastore.http.errors
    └── SettingInvalid          a setting that can't work

Stores have a tree of their own, `stores.errors`. Which HTTP status an error gets is the business of each face.
"""

from typing import ClassVar


class MediastoreError(Exception):
    """Base. `message` is a sentence for people: what was wrong, which value, what would have been right. Never a secret.

    `fields` are the same facts for programs; faces show them beside the message.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class SettingInvalid(MediastoreError):
    code = "setting_invalid"
