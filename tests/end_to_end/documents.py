"""Examples of the documents, as scripts to run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples(document: str, *, after: str = "") -> str:
    """Every shell example of a document, in order, behind the heading `after`."""
    text = (ROOT / document).read_text()
    return "\n".join(BLOCK.findall(text[text.index(after) :]))
