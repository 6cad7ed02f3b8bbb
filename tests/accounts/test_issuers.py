"""Tokens of outside services: believed when they are right, whatever else is tried."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from mediastore.accounts.issuers import load_issuers
from mediastore.errors import SettingInvalid
from tests.accounts.peek import rows
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server

ISSUER, AUDIENCE = "https://login.example.org", "mediastore"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Service:
    """What an identity service publishes, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.away = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked += 1
                if self.path == "/key.pem":
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(PEM)
                    return
                body = json.dumps({"keys": service.keys}).encode()
                self.send_response(500 if service.away else 200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def jwk(as_dict: dict[str, Any], kid: str, alg: str) -> dict[str, Any]:
    return {**as_dict, "kid": kid, "alg": alg, "use": "sig"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    service.keys = [
        jwk(RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "rsa", "RS256"),
        jwk(ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "ec", "ES256"),
        jwk(OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "ed", "EdDSA"),
    ]
    yield service
    service.close()


def config(**changed: Any) -> dict[str, Any]:
    return {
        "name": "institute",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ["RS256", "ES256", "EdDSA"],
        "name_prefix": "i-",
        "full_name_claim": "name",
        "email_claim": "mail",
        "groups_claim": "groups",
        "group_prefix": "i-",
        "role_claim": "roles",
        "roles": {"manager": "administrator", "scientist": "editor"},
        "default_role": "reader",
        **changed,
    }


@pytest.fixture(scope="module")
def server(
    database_server: DatabaseServer, template_database: str, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("issuers")
    (folder / "key.pem").write_bytes(PEM)
    by_file = config(
        name="archive", issuer="archive", public_key_file=str(folder / "key.pem"), algorithms=["RS256"], default_role=None
    )
    hub = {
        "name": "hub",
        "audience": "rawstore",
        "audience_claim": "service",
        "lasting": True,
        "algorithms": ["RS256"],
        "public_key_url": service.url.replace("jwks.json", "key.pem"),
        "name_claim": "userid",
        "limits_claim": "permissions",
        "default_role": "editor",
    }
    (folder / "issuers.json").write_text(json.dumps({"issuers": [config(jwks_url=service.url), by_file, hub]}))
    settings = {"MEDIASTORE_ISSUERS_FILE": str(folder / "issuers.json"), "MEDIASTORE_IDENTITY_CACHE_S": "0"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


def claims(sub: str, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": sub,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "roles": ["scientist"],
    } | changed


def signed(body: dict[str, Any], key: Any = RSA, alg: str = "RS256", kid: str | None = "rsa") -> str:
    return jwt.encode(body, key, algorithm=alg, headers={} if kid is None else {"kid": kid})


def me(server: Server, token: str) -> httpx.Response:
    return httpx.get(f"{server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(("key", "alg", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")])
def test_a_token_of_the_service_logs_in(server: Server, admin: httpx.Client, key: Any, alg: str, kid: str) -> None:
    token = signed(claims(f"ann-{kid}", groups=["ctd", "not a name!", 3]), key, alg, kid)
    answer = me(server, token)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["role"], answer.json()["groups"]) == (f"i-ann-{kid}", "editor", ["i-ctd"])
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.put(f"/content/of-{kid}", content=b"x").json()["owner"] == f"i-ann-{kid}"
    user = admin.get(f"/users/i-ann-{kid}").json()
    assert (user["role"], user["groups"], user["issuer"]) == ("editor", ["i-ctd"], "institute")


def test_role_and_groups_are_what_the_newest_token_says(server: Server, admin: httpx.Client) -> None:
    for roles, groups, role in (
        (["scientist"], ["a"], "editor"),
        (["scientist", "manager"], ["a", "b"], "administrator"),
        ("scientist", [], "editor"),
        (["janitor"], ["b"], "reader"),
        (None, None, "reader"),
    ):
        found = me(server, signed(claims("climber", roles=roles, groups=groups))).json()
        assert (found["role"], found["groups"]) == (role, [f"i-{group}" for group in groups or []])
    told = admin.get("/events", params={"subject": "i-climber", "kind": "account"}).json()["items"]
    assert [event["action"] for event in told] == ["changed"] * 4 + ["created"]


def test_what_people_are_called_is_shown_and_gone_with_the_account(server: Server, admin: httpx.Client) -> None:
    for name, mail, shown in (
        ("Zoë Ångström", "zoe@example.org", ("Zoë Ångström", "zoe@example.org")),
        ("Zoë Lindqvist", None, ("Zoë Lindqvist", None)),
        ("a\u202eb", "two\nlines", (None, None)),
        (["Zoë"], "x" * 201, (None, None)),
        ("Zoë", "zoe@example.org", ("Zoë", "zoe@example.org")),
    ):
        token = signed(claims("zoe", name=name, mail=mail))
        assert me(server, token).json()["full_name"] == shown[0]
        user = admin.get("/users/i-zoe").json()
        assert (user["full_name"], user["email"]) == shown
    assert "Zoë" not in admin.get("/events", params={"subject": "i-zoe", "kind": "account"}).text
    assert admin.delete("/users/i-zoe").status_code == 204
    assert rows(server, "SELECT full_name, email FROM account WHERE name = 'i-zoe'")[0] == {"full_name": None, "email": None}


def test_a_public_key_in_a_file(server: Server) -> None:
    assert me(server, signed(claims("bob", iss="archive"), kid=None)).json()["name"] == "i-bob"
    nobody = me(server, signed(claims("bob2", iss="archive", roles=["janitor"]), kid=None))
    assert (nobody.status_code, nobody.json()["code"]) == (401, "credentials_wrong")
    assert "role" in nobody.json()["detail"]


def hub(**changed: Any) -> dict[str, Any]:
    """What a service says that has words of its own: no issuer, no end, a service for the audience."""
    return {"userid": "hubert", "service": "rawstore", "permissions": {"most_mb": 5, "plan": "free"}} | changed


def test_a_service_with_words_of_its_own(server: Server) -> None:
    for body in (hub(), hub(service=["source", "rawstore"]), hub(exp=int(time.time()) + 60)):
        answer = me(server, signed(body, kid=None))
        assert (answer.status_code, answer.json().get("name"), answer.json().get("role")) == (200, "hubert", "editor")


@pytest.mark.parametrize(
    "token",
    [
        signed(hub(service="source"), kid=None),
        signed(hub(service=None), kid=None),
        signed({"userid": "hubert"}, kid=None),
        signed(hub(userid=None), kid=None),
        signed(hub(exp=int(time.time()) - 1), kid=None),
        signed(hub(), STRANGER, kid=None),
        signed(hub(iss="https://evil.example.org"), kid=None),
        signed(hub(iss=ISSUER)),
        jwt.encode(hub(), None, algorithm="none"),
    ],
)
def test_h14_its_tokens_are_looked_at_as_closely(server: Server, token: str) -> None:
    assert me(server, token).status_code == 401


def hs_by_public_key(body: dict[str, Any]) -> str:
    """What a verifier takes that lets the token choose the algorithm: the public key as a shared secret."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    head = part({"alg": "HS256", "typ": "JWT", "kid": "rsa"}) + b"." + part(body)
    return (head + b"." + base64.urlsafe_b64encode(hmac.new(PEM, head, hashlib.sha256).digest()).rstrip(b"=")).decode()


BAD: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: jwt.encode(claims("eve"), None, algorithm="none", headers={"kid": "rsa"}),
    "the public key as a secret": lambda: hs_by_public_key(claims("eve")),
    "the public key as a secret, by file": lambda: hs_by_public_key(claims("eve", iss="archive")),
    "the public key as a secret, by URL": lambda: hs_by_public_key({"userid": "eve", "service": "rawstore"}),
    "another algorithm than configured": lambda: signed(claims("eve"), alg="RS512"),
    "another's key": lambda: signed(claims("eve"), STRANGER),
    "the key of another algorithm": lambda: signed(claims("eve"), EC, "ES256", "rsa"),
    "another audience": lambda: signed(claims("eve", aud="another")),
    "no audience": lambda: signed({name: value for name, value in claims("eve").items() if name != "aud"}),
    "another issuer": lambda: signed(claims("eve", iss="https://evil.example.org")),
    "our own issuer": lambda: signed(claims("eve", iss="mediastore", cv=1, scopes=["admin"])),
    "expired": lambda: signed(claims("eve", exp=int(time.time()) - 1)),
    "not yet": lambda: signed(claims("eve", nbf=int(time.time()) + 60)),
    "for ever": lambda: signed({name: value for name, value in claims("eve").items() if name != "exp"}),
    "no name": lambda: signed({name: value for name, value in claims("eve").items() if name != "sub"}),
    "a name that can't be": lambda: signed(claims("eve\n<script>")),
    "an issuer that is no text": lambda: signed(claims("eve", iss="x")).replace("x", "y"),
    "cut": lambda: signed(claims("eve"))[:-20],
}


@pytest.mark.parametrize("what", BAD)
def test_h14_what_is_not_right_in_a_token_is_refused(server: Server, what: str) -> None:
    answer = me(server, BAD[what]())
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_wrong"), answer.text
    assert rows(server, "SELECT count(*) FROM account WHERE name LIKE '%eve%'")[0]["count"] == 0


def test_names_of_others_are_not_for_the_taking(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "i-local")
    taken = me(server, signed(claims("local")))
    assert taken.status_code == 401
    assert "somebody else" in taken.json()["detail"]
    assert me(server, signed(claims("both"))).status_code == 200
    assert me(server, signed(claims("both", iss="archive"), kid=None)).status_code == 401, "another issuer's"
    assert admin.get("/users/i-local").json()["role"] == "editor"


def test_an_account_that_is_switched_off_or_deleted_stays_out(server: Server, admin: httpx.Client) -> None:
    token = signed(claims("leaver", roles=["scientist"]))
    assert me(server, token).status_code == 200
    assert admin.patch("/users/i-leaver", json={"disabled": True}).status_code == 200
    assert me(server, token).status_code == 401
    assert me(server, signed(claims("leaver", roles=["manager"]))).status_code == 401, "nor does another role bring it back"
    assert admin.patch("/users/i-leaver", json={"disabled": False}).status_code == 200
    assert me(server, token).status_code == 200
    assert admin.delete("/users/i-leaver").status_code == 204
    assert me(server, token).status_code == 401
    with httpx.Client(base_url=f"{server.url}/api/v1") as nobody:
        assert nobody.post("/auth/login", json={"username": "i-both", "password": ""}).status_code == 401


def test_h14_a_service_is_asked_for_new_keys_but_not_by_whoever_likes_to(server: Server, service: Service) -> None:
    assert me(server, signed(claims("rotating"))).status_code == 200
    time.sleep(10.5)  # the least pause between two questions to the service
    before = service.asked
    for _ in range(5):
        assert me(server, signed(claims("rotating"), STRANGER)).status_code == 401
    assert service.asked == before, "a wrong signature is no reason to ask"
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    service.keys.append(jwk(RSAAlgorithm.to_jwk(new.public_key(), as_dict=True), "new", "RS256"))
    assert me(server, signed(claims("rotating"), new, kid="new")).status_code == 200
    for number in range(20):
        assert me(server, signed(claims("rotating"), STRANGER, kid=f"made-up-{number}")).status_code == 401
    assert service.asked == before + 1
    service.away = True
    assert me(server, signed(claims("rotating"))).status_code == 200, "what was read before serves on"
    service.away = False


def test_a_service_that_is_away_from_the_start_is_not_the_token_s_fault(
    database_server: DatabaseServer, template_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps({"issuers": [config(jwks_url="http://127.0.0.1:9/jwks.json")]}))
    with (
        database_server.database(template=template_database) as url,
        running_server(url, {"MEDIASTORE_ISSUERS_FILE": str(file)}) as server,
    ):
        answer = me(server, signed(claims("early")))
        assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"algorithms": ["HS256"], "jwks_url": "https://x"}, "HS256"),
        ({"algorithms": [], "jwks_url": "https://x"}, "algorithms"),
        ({}, "jwks_url or public_key_file"),
        ({"jwks_url": "https://x", "public_key_url": "https://x"}, "one of them"),
        ({"public_key_url": "file:///etc/passwd"}, "public_key_url"),
        ({"jwks_url": "file:///etc/passwd"}, "jwks_url"),
        ({"public_key_file": "/no/such/file"}, "/no/such/file"),
        ({"jwks_url": "https://x", "colour": "red"}, "colour"),
        ({"jwks_url": "https://x", "audience": ""}, "audience"),
        ({"jwks_url": "https://x", "roles": {"a": "king"}}, "king"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_at_the_start(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps({"issuers": [config(**given)]}))
    with pytest.raises(SettingInvalid, match=said):
        load_issuers(file)
