"""What tests of this dialect share."""

import json
import re
from typing import Any

import httpx

from tests.end_to_end.documents import ROOT

Json = dict[str, Any]


def add_staging_store(admin: httpx.Client, **more: Any) -> None:
    """The store as docs/dialects/staging.md makes it, with what a test changes about it."""
    said = re.search(r"-d '(.*?)'", (ROOT / "docs" / "dialects" / "staging.md").read_text(), re.DOTALL)
    assert said is not None
    answer = admin.post("/stores", json=json.loads(said[1]) | more)
    assert answer.status_code == 201, answer.text


def send(client: httpx.Client, name: str, data: bytes, label: str = "", **fields: str) -> Json:
    """An upload that is accepted."""
    form = {**({"label": label} if label else {}), **fields}
    answer = client.post("/upload", data=form, files={"file": (name, data)})
    assert answer.status_code == 202, answer.text
    report: Json = answer.json()
    return report
