"""Logging in, and being slowed down. Addresses are told by a proxy that this server trusts, so that each test has its own."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.database import DatabaseServer
from tests.server import ADMIN, PASSWORD, Server, add_user, running_server

ATTEMPTS = 3


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    environment = {"MEDIASTORE_LOGIN_ATTEMPTS": str(ATTEMPTS), "MEDIASTORE_TRUSTED_PROXIES": "127.0.0.1"}
    with database_server.database(template=template_database) as url, running_server(url, environment) as running:
        yield running


def log_in(server: Server, name: str, password: str, *, address: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/api/v1/auth/login",
        json={"username": name, "password": password},
        headers={"X-Forwarded-For": address},
        timeout=60,
    )


def test_a_log_in_gives_a_token_that_works(server: Server) -> None:
    answer = log_in(server, *ADMIN, address="10.0.0.1")
    assert answer.status_code == 200, answer.text
    token = answer.json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 3600
    headers = {"Authorization": f"bearer {token['access_token']}"}
    me = httpx.get(f"{server.url}/api/v1/auth/me", headers=headers)
    scopes = ["read", "write", "admin"]
    assert me.json() == {"name": "admin", "role": "administrator", "groups": [], "scopes": scopes, "full_name": None}


def test_a_wrong_password_an_unknown_user_and_a_disabled_one_look_the_same(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "same")
    add_user(admin, "same-off")
    assert admin.patch("/users/same-off", json={"disabled": True}).status_code == 200
    answers = [
        log_in(server, "same", "not the password", address="10.0.1.1"),
        log_in(server, "same-nobody", PASSWORD, address="10.0.1.2"),
        log_in(server, "same-off", PASSWORD, address="10.0.1.3"),
    ]
    told = [{**answer.json(), "request_id": ""} for answer in answers]
    assert told[0]["code"] == "credentials_wrong"
    assert told == [told[0]] * 3
    assert {answer.status_code for answer in answers} == {401}
    assert all("www-authenticate" in answer.headers for answer in answers)


def test_an_account_without_password_can_not_log_in(server: Server, admin: httpx.Client) -> None:
    assert admin.post("/users", json={"name": "no-password"}).status_code == 201
    for guess in ("", "null", "None"):
        assert log_in(server, "no-password", guess, address="10.0.2.1").status_code == 401


def guess_until_slowed_down(server: Server, name: str, *, address: str, wait_s: int = 1) -> httpx.Response:
    """Guess on and on; the refusal that first asks for a wait of so long. Waits double, so a slow machine comes there too."""
    deadline = time.monotonic() + 60
    heard = 0
    while time.monotonic() < deadline:
        answer = log_in(server, name, "wrong password", address=address)
        heard += answer.status_code == 401
        if answer.status_code == 429 and int(answer.headers["retry-after"]) >= wait_s:
            assert heard >= ATTEMPTS, "so many guesses are heard first"
            return answer
    raise AssertionError(f"never slowed down by {wait_s} s, after {heard} guesses")


def test_failures_slow_down_that_name_from_that_address_alone(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "slow")
    add_user(admin, "quick")
    refused = guess_until_slowed_down(server, "slow", address="10.0.3.1", wait_s=6)
    assert refused.json()["code"] == "login_slowed_down"
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after_s"]
    right = log_in(server, "slow", PASSWORD, address="10.0.3.1")
    assert right.status_code == 429, "the right password is not heard either"

    assert log_in(server, "quick", PASSWORD, address="10.0.3.1").status_code == 200, "others from there get in"
    assert log_in(server, "slow", PASSWORD, address="10.0.3.2").status_code == 200, "the person gets in from elsewhere"

    time.sleep(int(right.headers["retry-after"]) + 1)
    assert log_in(server, "slow", PASSWORD, address="10.0.3.1").status_code == 200, "after the wait it is heard"
    assert log_in(server, "slow", "wrong password", address="10.0.3.1").status_code == 401, "and counting starts afresh"


def test_guesses_at_the_same_moment_count(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "parallel")
    with ThreadPoolExecutor(12) as pool:
        guesses = [pool.submit(log_in, server, "parallel", f"wrong password {n}", address="10.0.5.1") for n in range(12)]
        statuses = [guess.result().status_code for guess in guesses]
    assert statuses.count(401) <= ATTEMPTS + 1, statuses
    assert statuses.count(401) + statuses.count(429) == 12, statuses


def test_the_right_password_many_times_at_once_is_let_in_each_time(server: Server, admin: httpx.Client) -> None:
    """Such as the workers of a pipeline, which start together."""
    add_user(admin, "pipeline")
    with ThreadPoolExecutor(8) as pool:
        statuses = [
            answer.status_code
            for answer in pool.map(lambda _: log_in(server, "pipeline", PASSWORD, address="10.0.6.1"), range(8))
        ]
    assert statuses == [200] * 8


def test_names_that_do_not_exist_are_slowed_down_alike(server: Server) -> None:
    guess_until_slowed_down(server, "ghost", address="10.0.7.1", wait_s=2)


def test_one_address_that_tries_many_names_is_slowed_down(server: Server) -> None:
    statuses = []
    with ThreadPoolExecutor(8) as pool:
        tries = [
            pool.submit(log_in, server, f"spray-{n}", "wrong password", address="10.0.8.1") for n in range(ATTEMPTS * 10 + 8)
        ]
        statuses = [each.result().status_code for each in tries]
    assert 429 in statuses
    assert log_in(server, "spray-new", PASSWORD, address="10.0.8.1").status_code in {401, 429}
    assert log_in(server, *ADMIN, address="10.0.8.2").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"username": "a"}',
        b'{"username": 1, "password": "x"}',
        b'{"username": "a", "password": "b", "x": 1}',
    ],
)
def test_a_log_in_that_can_not_be_read_is_refused(server: Server, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/api/v1/auth/login", content=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "body_invalid"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic YWRtaW46eA==", "Bearer nonsense", "Bearer ms_", "Bearer ms_" + "0" * 32 + "_x"]
)
def test_a_credential_that_is_none_is_refused_and_never_taken_for_nobody(server: Server, header: str) -> None:
    answer = httpx.get(f"{server.url}/api/v1/media", headers={"Authorization": header})
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "credentials_wrong"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_passwords_do_not_come_to_the_log(server: Server) -> None:
    log_in(server, "ghost-of-log", "this-never-shows", address="10.0.9.1")
    assert "this-never-shows" not in server.log.read_text()
    assert ADMIN[1] not in server.log.read_text()
