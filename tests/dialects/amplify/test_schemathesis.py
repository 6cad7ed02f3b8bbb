"""Calls that schemathesis makes up from the document of AMPLIfy's API: none is an error of our own, each is as described."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dialects.amplify.scene import Client, b64, media
from tests.server import Server

TIMEOUT_S = 250
NOT_CHECKED = {
    "allow_header_conformance": "Litestar answers OPTIONS for one of the handlers of a path",
    "ensure_resource_availability": "other calls delete what one made",
    "ignored_auth": "wrong paths and bodies are told of before anybody asks who calls",
    "missing_required_header": "there are none",
    "negative_data_rejection": "items of bulk changes fail one by one in an answer of 200; unknown fields are passed over",
    "positive_data_acceptance": "that a name is there is no matter of schemas",
    "use_after_free": "what was deleted is 404, and a store that is made again is the one that was there",
}


@pytest.mark.timeout(TIMEOUT_S + 40)
def test_made_up_calls_break_neither_the_server_nor_the_document(server: Server, client: Client, tmp_path: Path) -> None:
    client.good("POST", "/upload", {"mediadata": media("IFCB101_D20240101T000000"), "base64": b64(b"x")})
    lines = ["[checks]", *(f"{name}.enabled = false" for name in NOT_CHECKED)]
    (tmp_path / "schemathesis.toml").write_text("\n".join(lines))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/schema/openapi.json"),
        *("--header", f"Authorization: Bearer {server.token()}", "--include-path-regex=^/amplify"),
        *("--phases=examples,coverage,fuzzing", "--seed", "1", "--max-examples", "8", "--request-timeout", "60"),
        *("--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert client.good("GET", "/hello")
