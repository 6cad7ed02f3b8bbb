"""What schemathesis does not know by itself; it loads this file."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def one_line(_: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
