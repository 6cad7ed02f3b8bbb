"""People of an outside identity service, by its tokens and API keys; what is wrong with either; and that nothing leaks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.accounts.iam import PEM, Iam, claims, signed
from tests.accounts.peek import whole_table
from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS
from tests.dialects.staging.staging import add_staging_store, send
from tests.server import Server, running_server

STRANGER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def iam() -> Iterator[Iam]:
    iam = Iam()
    iam.keys = {"R9arQwYMFqdgVVYt7jqcsxfyPyU": "EDI-ann", "bobs-key-000000000000000000": "EDI-bob"}
    yield iam
    iam.close()


@pytest.fixture(scope="module")
def server(
    database_server: DatabaseServer, template_database: str, iam: Iam, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    file = iam.write_config(tmp_path_factory.mktemp("iam"))
    settings = {**SETTINGS, "MEDIASTORE_ISSUERS_FILE": str(file)}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        with running.client() as admin:
            add_staging_store(admin)
        yield running


def client(server: Server, **params: str) -> httpx.Client:
    return httpx.Client(base_url=f"{server.url}/staging", params=params, timeout=60)


def test_by_key_by_token_and_by_our_header_it_is_the_same_person(server: Server, iam: Iam) -> None:
    key = "R9arQwYMFqdgVVYt7jqcsxfyPyU"
    with client(server, key=key) as by_key, client(server, token=signed(claims("EDI-ann"))) as by_token:
        report = send(by_key, "a.bin", b"of ann")
        assert [item["id"] for item in by_token.get("/upload").json()] == [report["id"]]
        for bearer in (key, signed(claims("EDI-ann"))):
            answer = httpx.get(f"{server.url}/staging/upload", headers={"Authorization": f"Bearer {bearer}"})
            assert [item["id"] for item in answer.json()] == [report["id"]]
        assert iam.asked.count(key) == 1
        with client(server, key="bobs-key-000000000000000000") as bob:
            assert bob.get(f"/upload/{report['id']}").status_code == 404
        moved = by_key.get(f"/upload/{report['id']}/data")
        assert httpx.get(moved.headers["location"]).content == b"of ann"
    with server.client() as admin:
        account = admin.get("/users/EDI-ann").json()
        assert (account["issuer"], account["groups"], account["role"]) == ("edi", ["EDI-group0001"], "editor")


def test_our_own_keys_work_too(server: Server, iam: Iam) -> None:
    with server.client() as admin:
        key = admin.post("/auth/keys", json={"name": "for tests", "scopes": ["read", "write"]}).json()["key"]
    before = len(iam.asked)
    with client(server, key=key) as by_key:
        send(by_key, "a.bin", b"of admin")
        assert by_key.get("/upload").status_code == 200
    assert len(iam.asked) == before, "an own key goes nowhere else"


def hs_by_public_key(body: dict[str, Any]) -> str:
    """What a verifier takes that lets the token choose the algorithm: the public key as a shared secret."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    head = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(body)
    return (head + b"." + base64.urlsafe_b64encode(hmac.new(PEM, head, hashlib.sha256).digest()).rstrip(b"=")).decode()


BAD: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: jwt.encode(claims("EDI-eve"), None, algorithm="none"),
    "the public key as a secret": lambda: hs_by_public_key(claims("EDI-eve")),
    "another's key": lambda: signed(claims("EDI-eve"), STRANGER),
    "an audience": lambda: signed(claims("EDI-eve", aud="another")),
    "another issuer": lambda: signed(claims("EDI-eve", iss="https://evil.example.org")),
    "our own issuer": lambda: signed(claims("EDI-eve", iss="mediastore", aud="mediastore")),
    "expired": lambda: signed(claims("EDI-eve", exp=int(time.time()) - 1)),
    "not yet": lambda: signed(claims("EDI-eve", nbf=int(time.time()) + 60)),
    "for ever": lambda: signed({name: value for name, value in claims("EDI-eve").items() if name != "exp"}),
    "no name": lambda: signed({name: value for name, value in claims("EDI-eve").items() if name != "sub"}),
    "the name of our administrator": lambda: signed(claims("admin")),
    "cut": lambda: signed(claims("EDI-eve"))[:-20],
}


@pytest.mark.parametrize("what", BAD)
def test_h14_what_is_not_right_in_a_token_is_refused(server: Server, iam: Iam, what: str) -> None:
    before = list(iam.asked)
    for params in ({"token": BAD[what]()}, {"key": BAD[what]()}):
        with client(server, **params) as eve:
            for answer in (eve.get("/upload"), eve.post("/upload", files={"file": ("a", b"x")})):
                assert (answer.status_code, answer.json()["code"]) == (401, "credentials_wrong"), answer.text
    assert iam.asked == before, "nor is it sent anywhere"


def test_many_requests_with_a_new_key_ask_the_service_once(server: Server, iam: Iam) -> None:
    iam.keys["parallel-key"] = "EDI-parallel"
    with ThreadPoolExecutor(12) as threads:
        answers = list(
            threads.map(
                lambda _: httpx.get(f"{server.url}/staging/upload", params={"key": "parallel-key"}, timeout=60), range(24)
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert iam.asked.count("parallel-key") == 1


def test_a_service_that_is_away_is_503_and_a_refused_key_401(server: Server, iam: Iam) -> None:
    with client(server, key="away-key") as away:
        iam.answers = "error"
        answer = away.get("/upload")
        assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        iam.answers = "json"
        assert (away.get("/upload").status_code, away.get("/upload").json()["code"]) == (401, "credentials_wrong")


def test_h14_no_secret_is_in_the_server_s_output_nor_in_its_tables(
    database_server: DatabaseServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    iam = Iam()
    iam.keys = {"goodkey0987654321": "EDI-ann"}
    file = iam.write_config(tmp_path_factory.mktemp("iam"))
    settings = {**SETTINGS, "MEDIASTORE_ISSUERS_FILE": str(file)}
    with database_server.database(template=template_database) as url, running_server(url, settings) as server:
        with server.client() as admin:
            own = admin.post("/auth/keys", json={"name": "x", "scopes": ["read", "write"]}).json()["key"]
        token, ours = signed(claims("EDI-ann")), server.token()
        secrets = ["goodkey0987654321", own, token, ours]
        urls = []
        for number, state in enumerate(("before there is a store", "with it", "while the service is away")):
            fresh = f"badkey123456789{number}"
            secrets.append(fresh)
            if state == "with it":
                with server.client() as admin:
                    add_staging_store(admin)
            iam.answers = "error" if state.endswith("away") else "json"
            for params in ({"key": secrets[0]}, {"key": fresh}, {"key": own}, {"token": token}, {"token": ours}):
                with client(server, **params) as someone:
                    sent = someone.post("/upload", files={"file": ("a\u202eb.txt", b"x")})
                    someone.post("/upload", content=b"nonsense")
                    someone.get("/upload", params={"limit": "many"})
                    someone.get("/upload/x", params={"tokken": token})
                    someone.get("/nowhere")
                    someone.patch("/upload")
                    if sent.status_code == 202:
                        urls.append(someone.get(f"/upload/{sent.json()['id']}/data").headers["location"])
        assert urls
        for location in urls:
            httpx.get(location)
            secrets.append(httpx.URL(location).params["token"])
        tables = "".join(whole_table(server, name) for name in ("history", "account", "api_key", "media", "upload"))
        assert server.process is not None
        assert server.process.stdout is not None
        server.process.terminate()
        output = server.process.stdout.read() + server.log.read_text()
        server.stop()
    iam.close()
    assert '"path":"/staging/upload"' in output.replace(" ", ""), "the access log is on"
    assert "issuer_unavailable" in output
    assert "Traceback" not in output
    for secret in secrets:
        assert secret not in output
        assert secret.rpartition(".")[2] not in output, "nor its signature alone"
        assert secret not in tables
