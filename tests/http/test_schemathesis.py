"""Calls that schemathesis makes up from the document, right and wrong ones, against a real server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.database import DatabaseServer
from tests.server import Server, running_server

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
SEED = 1
TIMEOUT_S = 280
"""Of one run, which takes 20 s where nothing else runs."""
REQUEST_TIMEOUT_S = 60
EXAMPLES = 12
"""For each operation and phase; more find more, by hand: `EXAMPLES = 500`."""

PHASES = "--phases=examples,coverage,fuzzing"
"""Where every path is given, there are no answers to go on from."""

NOT_CHECKED = {
    "positive_data_acceptance": "that a name is there or a moment lies ahead is no matter of schemas",
    "missing_required_header": "it takes 400 for a broken If-Match amiss where there is no token either",
    "allow_header_conformance": "of a path that several handlers serve, Litestar's answer to OPTIONS names the methods of one",
    "ensure_resource_availability": "other calls delete what one made",
}
REFUSALS = (400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 416, 422, 424, 429)
"""What a wrong call may get: the record that it is about may be gone before anybody looks at what is wrong."""

WRONG_BUT_TAKEN = {
    "media_batch": "wrong items get their problems in an answer of 200",
    "media_import_records": "wrong lines get their problems in an answer of 200",
    "content_download": "Litestar reads ?version=null as no version",
    "content_download_head": "Litestar reads ?version=null as no version",
    "content_upload": "Litestar reads ?ttl_s=null as no ttl_s",
    "stores_registration": "a name that is too long becomes the one of every path again, and the id is one of that store's",
    "stores_scan_report": "a name that is too long becomes the one of every path again, and the id is one of that store's",
}
"""Operations that are not asked to refuse every wrong call, and why."""
ABOUT_OURSELVES = ("users_change", "users_remove")
"""Names are taken from earlier answers, too: of these, the administrator who calls would lose its password or be gone."""

pytestmark = pytest.mark.timeout(2 * TIMEOUT_S + 20)


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    """A server that lets made-up log-ins pass for forgetful people's: they would slow down the administrator's own."""
    patient = {"MEDIASTORE_LOGIN_ATTEMPTS": "100000"}
    with database_server.database(template=template_database) as url, running_server(url, patient) as running:
        yield running


@pytest.fixture
def known(admin: httpx.Client) -> str:
    """A name that a record with content, a store, an identifier type, a user and an S3 config have."""
    name = "known"
    bodies = {
        "/users": {"name": name, "password": "known to everybody"},
        "/identifier-types": {"name": name, "pattern": ".*"},
        "/s3-configs": {"name": name, "endpoint_url": "http://127.0.0.1:9"},
        "/stores": {"name": name, "kind": "memory"},
    }
    for path, body in bodies.items():
        assert admin.post(path, json=body).status_code == 201, path
    assert admin.put(f"/content/{name}?store={name}", content=b"0123456789").status_code == 201
    return name


def test_made_up_calls_break_neither_the_server_nor_the_document(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, *(f"--exclude-operation-id={name}" for name in ABOUT_OURSELVES))


def test_made_up_calls_about_what_is_there_break_neither(server: Server, tmp_path: Path, known: str) -> None:
    run(server, tmp_path, "--include-path-regex={(pid|name)}", "--exclude-method=DELETE", PHASES, about=known)
    run(server, tmp_path, "--include-path-regex={(pid|name)}", "--include-method=DELETE", PHASES, about=known)


def run(server: Server, folder: Path, *options: str, about: str | None = None) -> None:
    """Schemathesis, with a fixed seed, logged in as the administrator; `about` is the PID and the name in every path."""
    token = server.token()
    lines = [f'hooks = "{HOOKS}"', "[checks]", *(f"{name}.enabled = false" for name in NOT_CHECKED)]
    lines += [f"negative_data_rejection.expected-statuses = {list(REFUSALS)}"]
    lines += [
        "[[operations]]",
        f"include-operation-id = {list(WRONG_BUT_TAKEN)}",
        "checks.negative_data_rejection.enabled = false",
    ]
    if about is not None:
        lines += ["[parameters]", f'"path.pid" = "{about}"', f'"path.name" = "{about}"']
    (folder / "schemathesis.toml").write_text("\n".join(lines))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/schema/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--seed", str(SEED), "--max-examples", str(EXAMPLES)),
        *("--request-timeout", str(REQUEST_TIMEOUT_S)),
        *("--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off"),
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    still = httpx.get(f"{server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert still.status_code == 200, "from some call on, all the others were nobody's"
