"""The example of docs/add-a-store.md is a store: it is run as it stands there, suite included."""

import re
from pathlib import Path
from typing import Any

from stores.config import StoreConfig
from stores.conformance import StoreConformance
from stores.kinds import build
from stores.protocol import Store

PAGE = Path(__file__).parents[2] / "docs/add-a-store.md"
EXAMPLE: dict[str, Any] = {"__name__": __name__}
for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
    exec(compile(block, str(PAGE), "exec"), EXAMPLE)

TestShareStore: type[StoreConformance] = EXAMPLE["TestShareStore"]


def test_the_example_is_built_from_a_configuration(tmp_path: Path) -> None:
    config = StoreConfig(name="scans", kind="share", path=str(tmp_path), options={"auto_mkdir": True})
    store: Store = build(config, {"share": EXAMPLE["ShareStore"]})
    assert not store.features.create_if_absent
