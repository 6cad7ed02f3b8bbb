"""The first rows of a Parquet file as JSON: a process of its own, for a file that may be made to hurt whoever reads it.

It is given the file as its standard input and writes to its standard output. It knows no secret, has bounds of memory and time
that it can't lift, and when it dies nothing else does. `mediastore.transfers.previews` runs it.
"""

import json
import resource
import sys

import pyarrow as pa
import pyarrow.parquet as pq

MOST_MEMORY = 1024 * 1024 * 1024
MOST_CPU_S = 10
MOST_OUTPUT = 8 * 1024 * 1024
MOST_COLUMNS = 100
LONGEST_CELL = 200


def main(rows: int, known: int) -> None:
    """`known`: bytes from the beginning of the file that are there; of the rest only the footer is."""
    file = pq.ParquetFile(pa.OSFile("/dev/fd/0"), pre_buffer=False)
    names = readable(file, known)
    group = next((number for number in range(file.num_row_groups) if file.metadata.row_group(number).num_rows), None)
    table = file.schema_arrow.empty_table().select(names)
    if group is not None and names:
        batches = file.iter_batches(batch_size=rows, row_groups=[group], columns=names, use_threads=False)
        table = pa.Table.from_batches([next(batches)])
    columns = [texts(column) for column in table.columns]
    told = {
        "columns": [{"name": short(field.name), "type": short(str(field.type))} for field in table.schema],
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "row_count": file.metadata.num_rows,
        "columns_left_out": len(file.schema_arrow) - len(names),
    }
    sys.stdout.write(json.dumps(told))


def limit() -> None:
    """Bounds of this process, for good."""
    for kind, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_CPU_S),
        (resource.RLIMIT_FSIZE, MOST_OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def readable(file: pq.ParquetFile, known: int) -> list[str]:
    """Columns whose first rows lie in what is there of the file, as many as are shown."""
    names, leaf = [], 0
    for field in file.schema_arrow:
        leaves = range(leaf, leaf + leaves_of(field.type))
        leaf = leaves.stop
        if all(end_of(file, number) <= known for number in leaves):
            names.append(field.name)
    return list(dict.fromkeys(names))[:MOST_COLUMNS]


def leaves_of(kind: pa.DataType) -> int:
    """How many columns of a Parquet file one of these is."""
    if isinstance(kind, pa.BaseExtensionType):
        return leaves_of(kind.storage_type)
    return sum(leaves_of(kind.field(number).type) for number in range(kind.num_fields)) if kind.num_fields else 1


def end_of(file: pq.ParquetFile, leaf: int) -> int:
    """Where the first rows of a column end."""
    metadata = file.metadata
    group = next((number for number in range(metadata.num_row_groups) if metadata.row_group(number).num_rows), None)
    if group is None:
        return 0
    chunk = metadata.row_group(group).column(leaf)
    starts = [start for start in (chunk.dictionary_page_offset, chunk.data_page_offset) if start]
    return int(min(starts, default=0) + chunk.total_compressed_size)


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """Values as people read them. Numbers and times are written by the library, so that none loses a digit."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if not pa.types.is_nested(kind) and not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
        try:
            return [None if value is None else short(value) for value in column.cast(pa.large_string()).to_pylist()]
        except pa.ArrowException:
            pass  # some types have no text of their own
    return [
        None if value is None else short(value.hex() if isinstance(value, bytes) else str(value)) for value in as_python(column)
    ]


def as_python(column: pa.ChunkedArray) -> list[object]:
    return [value.as_py() if value.is_valid else None for value in column]


def short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


if __name__ == "__main__":
    limit()
    main(int(sys.argv[1]), int(sys.argv[2]))
