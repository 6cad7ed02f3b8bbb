"""What tests of this dialect share."""

from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]


def add_staging_store(admin: httpx.Client, home: Path, **more: Any) -> None:
    """The store, as docs/dialects/staging.md makes it."""
    path = home / "stores" / "staging"
    path.mkdir(parents=True, exist_ok=True)
    body = {"name": "staging", "kind": "filesystem", "path": str(path), "checksums": ["md5", "sha1"], **more}
    answer = admin.post("/stores", json=body)
    assert answer.status_code == 201, answer.text


def send(client: httpx.Client, name: str, data: bytes, label: str = "", **fields: str) -> Json:
    """An upload that is accepted."""
    form = {**({"label": label} if label else {}), **fields}
    answer = client.post("/upload", data=form, files={"file": (name, data)})
    assert answer.status_code == 202, answer.text
    report: Json = answer.json()
    return report
