"""What can be wrong with records and identifier types.

CatalogError
├── RecordNotFound          no such record, or none that the caller may read: the two look the same
├── RecordGone              deleted, or expired: `status`, `since`
├── RecordHeld              a hold stands, which overrules even its owner
├── RecordInvalid           a field whose value can't be
│   ├── PidInvalid          not a PID at all
│   ├── PatternBroken       a PID or identifier that does not match its type's pattern
│   └── StoreUnknown        a record names a store that is not there
├── PidTaken                PIDs are given out once
├── IdentifierTaken         another record has this value of a type whose values are unique
├── RevisionMismatch        the record was changed by someone else in the meantime
├── RevisionNotFound        the record never had this revision
├── BatchUndone             another item of an atomic batch failed, so this one was undone
├── ImportStopped           so many lines of an import failed that the rest was not read
├── AnswerTooLarge          the records before this one of a batch fill its answer
├── IdentifierTypeNotFound
├── IdentifierTypeExists
├── IdentifierTypeInvalid   the pattern is not one
├── IdentifierTypeInUse     records use it; `records` says how many
├── SearchInvalid           a filter, sort or facet that makes no sense
│   └── CursorInvalid       none of ours, or of another search
├── SearchTooSlow           cut at the time limit: it has to be narrowed
├── SearchBusy              too many searches at once; retryable
├── MetadataFieldNotFound
├── MetadataFieldExists
└── MetadataFieldInvalid    a path that is none, or a name that means something else
"""

from mediastore.errors import MediastoreError


class CatalogError(MediastoreError):
    code = "catalog_error"


class RecordNotFound(CatalogError):
    code = "record_not_found"


class RecordHeld(CatalogError):
    code = "record_held"


class RecordGone(CatalogError):
    code = "record_gone"


class RecordInvalid(CatalogError):
    code = "record_invalid"


class PidInvalid(RecordInvalid):
    code = "pid_invalid"


class PatternBroken(RecordInvalid):
    code = "pattern_broken"


class StoreUnknown(RecordInvalid):
    code = "store_unknown"


class PidTaken(CatalogError):
    code = "pid_taken"


class IdentifierTaken(CatalogError):
    code = "identifier_taken"


class RevisionMismatch(CatalogError):
    code = "revision_mismatch"


class RevisionNotFound(CatalogError):
    code = "revision_not_found"


class BatchUndone(CatalogError):
    code = "batch_undone"


class ImportStopped(CatalogError):
    code = "import_stopped"


class AnswerTooLarge(CatalogError):
    code = "answer_too_large"


class IdentifierTypeNotFound(CatalogError):
    code = "identifier_type_not_found"


class IdentifierTypeExists(CatalogError):
    code = "identifier_type_exists"


class IdentifierTypeInvalid(CatalogError):
    code = "identifier_type_invalid"


class IdentifierTypeInUse(CatalogError):
    code = "identifier_type_in_use"


class SearchInvalid(CatalogError):
    code = "search_invalid"


class CursorInvalid(SearchInvalid):
    code = "cursor_invalid"


class SearchTooSlow(CatalogError):
    code = "search_too_slow"


class SearchBusy(CatalogError):
    code = "search_busy"
    retryable = True


class MetadataFieldNotFound(CatalogError):
    code = "metadata_field_not_found"


class MetadataFieldExists(CatalogError):
    code = "metadata_field_exists"


class MetadataFieldInvalid(CatalogError):
    code = "metadata_field_invalid"
