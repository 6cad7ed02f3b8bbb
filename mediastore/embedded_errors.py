"""What can go wrong with the data folder and the embedded PostgreSQL in it.

    EmbeddedError                  code; fields: folder
    ├── DataFolderInUse            another server has the folder; fields: pid
    ├── DataFolderUnreachable      the folder, or the programs, can't be reached by the user that has to
    ├── DataFolderVersionDiffers   its database belongs to another major version of PostgreSQL; fields: found, expected
    ├── PostgresMissing            no PostgreSQL programs for this machine are installed
    ├── PostgresStartFailed        PostgreSQL could not be created or started; quotes its log
    └── PostgresLeftOver           a PostgreSQL of an earlier server holds the folder and does not end

None goes away by itself: somebody has to change something, and each message says what.
"""

from pathlib import Path

from mediastore.errors import MediastoreError


class EmbeddedError(MediastoreError):
    code = "embedded_database_error"

    def __init__(self, message: str, *, folder: Path, **fields: object) -> None:
        super().__init__(message, folder=str(folder), **fields)


class DataFolderInUse(EmbeddedError):
    code = "data_folder_in_use"


class DataFolderUnreachable(EmbeddedError):
    code = "data_folder_unreachable"


class DataFolderVersionDiffers(EmbeddedError):
    code = "data_folder_version_differs"


class PostgresMissing(EmbeddedError):
    code = "embedded_postgres_missing"


class PostgresStartFailed(EmbeddedError):
    code = "embedded_postgres_start_failed"


class PostgresLeftOver(EmbeddedError):
    code = "embedded_postgres_left_over"
