"""`python -m bench [--only NAME] [--long]`: run the measurements, print the table, write `bench/results.json`."""

import argparse
import sys
from pathlib import Path
from time import monotonic

import msgspec

from bench.client import CLIENT_ROWS
from bench.direct import DIRECT_ROWS
from bench.files import FILE_ROWS
from bench.memory import MEMORY_ROWS
from bench.parts import assembled
from bench.reconciling import RECONCILE_ROWS
from bench.records import RECORD_ROWS
from bench.rows import Row, run, say, table
from bench.s3 import S3_ROWS
from bench.search import SEARCH_ROWS
from bench.search_page import SEARCH_PAGE_ROWS
from bench.sweeps import SWEEP_ROWS

RESULTS = Path(__file__).with_name("results.json")
ROWS: list[Row] = [
    *RECORD_ROWS,
    *FILE_ROWS,
    *S3_ROWS,
    *DIRECT_ROWS,
    *CLIENT_ROWS,
    *SWEEP_ROWS,
    *RECONCILE_ROWS,
    *SEARCH_ROWS,
    *SEARCH_PAGE_ROWS,
    *MEMORY_ROWS,
]


def main() -> int:
    """The exit code: 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help="a row, or the beginning of several rows' names: " + ", ".join(row.name for row in ROWS))
    parser.add_argument("--long", action="store_true", help="also the rows that take minutes")
    asked = parser.parse_args()
    wanted = [row for row in ROWS if (row.name.startswith(asked.only) if asked.only else asked.long or not row.long)]
    if not wanted:
        parser.error(f"there is no row {asked.only!r}; there are: {', '.join(row.name for row in ROWS)}")
    results = []
    with assembled() as parts:
        for row in wanted:
            begun = monotonic()
            say(f"{row.name} …")
            results.append(run(row, parts))
            say(f"{row.name}: {results[-1].ratio:.2f} after {monotonic() - begun:.0f} s")
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    print(table(results, wanted))
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
