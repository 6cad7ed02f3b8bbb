"""Where a server may be sent, whom it believes, and what it writes down."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mediastore.accounts.secrets import derive
from tests.faults.conftest import Sites
from tests.faults.harness import Site, content, eventually, name
from tests.server import ADMIN, PASSWORD, SECRET_KEY, add_user

KEY = derive(SECRET_KEY, purpose="access tokens")


@pytest.fixture(scope="module")
def careful(sites: Sites) -> Iterator[Site]:
    """A server that may not talk to private addresses."""
    with sites(s3=False, environment={"MEDIASTORE_ALLOW_PRIVATE_ENDPOINTS": "no"}) as made:
        yield made


NEVER = (
    "http://169.254.169.254",
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]",
    "http://[fe80::1%25lo]",
    "http://[::ffff:169.254.169.254]",
    "http://[::ffff:a9fe:a9fe]:80",
    "http://2852039166",
    "http://0xA9FEA9FE",
    "http://0xa9.0xfe.0xa9.0xfe",
    "http://0251.0376.0251.0376",
    "http://169.254.43518",
    "http://0.0.0.0:9000",
    "http://0",
    "http://[::]",
    "http://224.0.0.1",
    "http://[ff02::1]",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "http://user:password@s3.example.org",
    "http://key@s3.example.org",
    "http://s3.example.org@169.254.169.254",
    "http://169.254.169.254\\@s3.example.org",
    "http://169.254.169.254\t",
    "http://169.254.169.254#@s3.example.org",
    "http://169.254.169.254?x=.example.org",
    "ftp://s3.example.org",
    "file:///etc/passwd",
    "//169.254.169.254",
    "169.254.169.254",
    "http://",
    "http://[::1",
    "http://127.0.0.1:99999",
    "gopher://127.0.0.1",
)
PRIVATE = (
    "http://127.0.0.1:9000",
    "http://localhost:9000",
    "http://LOCALHOST.",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://[::1]:9000",
    "http://[::ffff:127.0.0.1]",
    "http://10.0.0.1",
    "http://172.16.0.1",
    "http://192.168.1.1",
    "http://100.64.0.1",
    "http://[fc00::1]",
    "http://[fd00:ec2::254]",
    "http://[::ffff:10.0.0.1]",
)


def s3_config(url: str, **fields: Any) -> dict[str, Any]:
    return {"name": name("c"), "endpoint_url": url, "access_key": "test", "secret_key": "test", **fields}


@pytest.mark.parametrize("url", NEVER)
def test_h14_an_endpoint_that_is_never_s3_is_refused_everywhere(site: Site, careful: Site, url: str) -> None:
    for each in (site, careful):
        assert_refused(each, url)


@pytest.mark.parametrize("url", PRIVATE)
def test_h14_a_private_endpoint_is_refused_unless_allowed(careful: Site, url: str) -> None:
    assert_refused(careful, url)


def assert_refused(site: Site, url: str) -> None:
    answer = site.admin.post("/s3-configs", json=s3_config(url))
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in {"endpoint_refused", "body_invalid"}
    assert "password" not in answer.text
    good = s3_config("https://203.0.113.7") | {"endpoint_url": None}
    assert site.admin.post("/s3-configs", json=good).status_code == 201
    changed = site.admin.put(f"/s3-configs/{good['name']}", json={"endpoint_url": url})
    assert changed.status_code == 422, changed.text
    assert site.admin.get(f"/s3-configs/{good['name']}").json()["endpoint_url"] is None


def test_h14_an_endpoint_that_has_moved_inside_is_refused_when_it_is_used(careful: Site) -> None:
    config = s3_config("http://placeholder") | {"endpoint_url": None}
    careful.admin.post("/s3-configs", json=config)
    store = {"name": name("s"), "kind": "s3", "bucket": "b", "s3_config": config["name"]}
    assert careful.admin.post("/stores", json=store).status_code == 201
    careful.rows("UPDATE s3_config SET endpoint_url = 'http://localhost:1' WHERE name = $1", config["name"])
    answer = careful.admin.post(f"/stores/{store['name']}/probe").json()
    assert answer["ok"] is False
    assert "private" in answer["steps"][0]["detail"]
    refused = careful.put(name(), b"x", params={"store": store["name"]})
    assert 400 <= refused.status_code < 600
    assert refused.status_code != 500


def test_h14_only_administrators_say_where_stores_are(site: Site) -> None:
    user = name("u")
    add_user(site.admin, user, "editor")
    with site.server.client(user) as client:
        assert client.post("/s3-configs", json=s3_config("https://s3.example.org")).status_code == 403
        assert client.get("/s3-configs").status_code == 403
        assert client.post("/stores", json={"name": name("s"), "kind": "filesystem"}).status_code == 403
        assert client.post("/stores/bucket/probe").status_code == 403
        shown = next(item for item in client.get("/stores").json()["items"] if item["name"] == "bucket")
        assert {key for key, value in shown.items() if value is not None} == {"name", "kind", "enabled"}


# Tokens.


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "sub": "admin", "cv": 1, "scopes": ["read", "write", "admin"], "iss": "mediastore", "aud": "mediastore",
        "iat": now - 10, "nbf": now - 10, "exp": now + 600,
    }  # fmt: skip
    return {key: value for key, value in {**made, **changed}.items() if value is not ...}


def by_hand(head: dict[str, Any], body: dict[str, Any], key: bytes | None, digest: str = "sha256") -> str:
    """A token that no library would make."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(body).encode())
    signature = b"" if key is None else hmac.new(key, signed, digest).digest()
    return (signed + b"." + part(signature)).decode()


PAIR = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PAIR.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
GOOD = claims()
BAD = {
    "alg none": by_hand({"alg": "none", "typ": "JWT"}, GOOD, None),
    "alg None": by_hand({"alg": "None", "typ": "JWT"}, GOOD, None),
    "alg nOnE, signed": by_hand({"alg": "nOnE", "typ": "JWT"}, GOOD, KEY),
    "no alg": by_hand({"typ": "JWT"}, GOOD, KEY),
    "alg HS512": by_hand({"alg": "HS512", "typ": "JWT"}, GOOD, KEY, "sha512"),
    "alg RS256, other key": jwt.encode(GOOD, PAIR, algorithm="RS256"),
    "alg RS256, signed with the HS key": by_hand({"alg": "RS256", "typ": "JWT"}, GOOD, KEY),
    "alg HS256, signed with a public key": by_hand({"alg": "HS256", "typ": "JWT"}, GOOD, PUBLIC),
    "signed with the secret itself": jwt.encode(GOOD, SECRET_KEY, algorithm="HS256"),
    "signed with nothing": by_hand({"alg": "HS256"}, GOOD, b""),
    "no signature": by_hand({"alg": "HS256"}, GOOD, None),
    "other key": jwt.encode(GOOD, b"another key of enough length for that", algorithm="HS256"),
    "key for another purpose": jwt.encode(GOOD, derive(SECRET_KEY, purpose="s3 secrets"), algorithm="HS256"),
    "embedded key": by_hand(
        {"alg": "HS256", "jwk": {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode()}}, GOOD, b"k" * 32
    ),
    "other audience": jwt.encode(claims(aud="other"), KEY),
    "no audience": jwt.encode(claims(aud=...), KEY),
    "other issuer": jwt.encode(claims(iss="other"), KEY),
    "no issuer": jwt.encode(claims(iss=...), KEY),
    "expired": jwt.encode(claims(exp=int(time.time()) - 5), KEY),
    "never expires": jwt.encode(claims(exp=...), KEY),
    "not yet": jwt.encode(claims(nbf=int(time.time()) + 600), KEY),
    "other credential version": jwt.encode(claims(cv=2), KEY),
    "credential version of another type": jwt.encode(claims(cv="1"), KEY),
    "nobody": jwt.encode(claims(sub="nobody-at-all"), KEY),
    "empty name": jwt.encode(claims(sub=""), KEY),
    "a scope that is none": jwt.encode(claims(scopes=["root"]), KEY),
    "scopes as text": jwt.encode(claims(scopes="admin"), KEY),
    "a key that is none": jwt.encode(claims(key="00000000-0000-0000-0000-000000000000"), KEY),
    "a key that is no UUID": jwt.encode(claims(key="x"), KEY),
    "garbage": "garbage",
    "dots": "..",
    "many dots": "." * 50,
    "not JSON": "bm90.anNvbg.eA",
    "Latin": "caf\xe9.caf\xe9.caf\xe9",
    "deep header": base64.urlsafe_b64encode(b"[" * 20000).decode() + ".e30.eA",
    "header that is a list": base64.urlsafe_b64encode(b"[1]").decode() + ".e30.eA",
    "header that is no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode() + ".e30.eA",
    "huge number": by_hand({"alg": "HS256"}, claims(exp=10**400), b"x"),
    "critical": by_hand({"alg": "HS256", "crit": ["x"], "x": 1}, GOOD, b"x"),
    "API key that is none": "ms_" + "0" * 32 + "_secret",
    "API key without an id": "ms_",
    "API key that is no hex": "ms_" + "z" * 32 + "_secret",
    "long": "a" * 30000,
}


def test_h14_a_token_made_right_is_believed(site: Site) -> None:
    """Else the refusals below would say nothing."""
    answer = httpx.get(f"{site.server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {jwt.encode(claims(), KEY)}"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("bad", BAD)
def test_h14_a_bad_token_is_nobody(site: Site, bad: str) -> None:
    for method, path in (("GET", "/api/v1/auth/me"), ("GET", "/api/v1/media"), ("PUT", f"/api/v1/content/{name()}")):
        answer = site.raw(
            method, path, headers=[("Authorization", f"Bearer {BAD[bad]}")], body=b"x" * (method == "PUT"), login=False
        )
        assert answer.status == 401, answer.body
        assert answer.json()["code"] == "credentials_wrong"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert BAD[bad] not in answer.body.decode() or len(BAD[bad]) < 10


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YWRtaW46eA==", "bearer  ", "Token x", "\xff\xfe"])
def test_h14_an_authorization_that_is_none_is_refused(site: Site, header: str) -> None:
    answer = site.raw("GET", "/api/v1/media", headers=[("Authorization", header)], login=False)
    assert answer.status == 401, answer.body


def test_h14_tokens_end_with_their_user_and_their_key(site: Site) -> None:
    user = name("u")
    add_user(site.admin, user, "editor")
    token = site.server.token(user)

    def status(credential: str) -> int:
        headers = {"Authorization": f"Bearer {credential}"}
        return httpx.get(f"{site.server.url}/api/v1/auth/me", headers=headers).status_code

    with httpx.Client(base_url=site.admin.base_url, headers={"Authorization": f"Bearer {token}"}) as client:
        made = client.post("/auth/keys", json={"name": "k", "scopes": ["read"]}).json()
        exchanged = client.post("/auth/token", json={"key": made["key"]}).json()["access_token"]
        assert [status(credential) for credential in (token, made["key"], exchanged)] == [200, 200, 200]
        assert client.delete(f"/auth/keys/{made['id']}").status_code == 204
        assert [status(credential) for credential in (token, made["key"], exchanged)] == [200, 401, 401]
        assert client.post("/auth/token", json={"key": made["key"]}).status_code == 401
    site.admin.patch(f"/users/{user}", json={"disabled": True})
    assert status(token) == 401
    site.admin.patch(f"/users/{user}", json={"disabled": False})
    assert status(token) == 401  # what was issued before stays worthless
    again = site.server.token(user)
    assert status(again) == 200
    assert site.admin.delete(f"/users/{user}").status_code == 204
    assert status(again) == 401
    # As on another server of the same database, which heard nothing of it.
    other = name("u")
    add_user(site.admin, other, "editor")
    token = site.server.token(other)
    assert status(token) == 200
    site.rows("UPDATE account SET disabled = true, credential_version = credential_version + 1 WHERE name = $1", other)
    eventually(lambda: status(token) == 401, within_s=1.5)


def test_h14_the_log_and_the_answers_hold_no_secret(sites: Sites) -> None:
    secret, access = "very-secret-s3-key-5f1e", "access-key-77ab"
    with sites(environment={"MEDIASTORE_LOG_LEVEL": "debug"}) as site:
        client, shown = site.admin, []
        key = client.post("/auth/keys", json={"name": "k", "scopes": ["read", "write"]}).json()["key"]
        config = s3_config("http://127.0.0.1:1", access_key=access, secret_key=secret)
        shown.append(client.post("/s3-configs", json=config))
        shown.append(client.post("/s3-configs", json=config))
        shown.append(client.post("/s3-configs", json={**config, "name": "Not A Name"}))
        store = {"name": name("s"), "kind": "s3", "bucket": "b", "s3_config": config["name"]}
        shown.append(client.post("/stores", json=store))
        shown.append(client.post(f"/stores/{store['name']}/probe"))
        shown.append(client.put(f"/content/{name()}?store={store['name']}", content=b"x"))
        shown.append(client.put(f"/content/{name()}?filename=query-string-5d2c", content=b"x"))
        shown.append(client.get("/media?limit=0&token=query-string-5d2c"))
        shown.append(client.get(f"/content/{name()}?token=query-string-5d2c"))
        pid = name()
        client.put(f"/content/{pid}?store=bucket", content=content(6 * 1024 * 1024))
        direct = client.get(f"/content/{pid}?direct=true").headers["location"]
        for password in (ADMIN[1], "wrong-password-91c2"):
            httpx.post(f"{site.server.url}/api/v1/auth/login", json={"username": "admin", "password": password})
        shown.append(
            httpx.post(
                f"{site.server.url}/api/v1/auth/login", json={"username": "admin", "password": {"x": "wrong-password-91c2"}}
            )
        )
        shown.append(
            httpx.post(f"{site.server.url}/api/v1/auth/login", content=b'{"username": "admin", "password": "wrong-password-91c2"')
        )
        shown.append(client.post("/users", json={"name": "u1", "password": PASSWORD}))
        shown.append(client.post("/users", json={"name": "u1", "password": PASSWORD, "role": "nonsense"}))
        for credential in (key, site.token, "wrong-token-33aa", "ms_" + "0" * 32 + "_wrong-token-33aa"):
            headers = {"Authorization": f"Bearer {credential}"}
            httpx.get(f"{site.server.url}/api/v1/auth/me", headers=headers)
            httpx.get(f"{site.server.url}/api/v1/auth/me?token={credential}", headers=headers)
            httpx.post(f"{site.server.url}/api/v1/auth/token", json={"key": credential})
        paths = ("/stores", "/s3-configs", "/users", f"/stores/{store['name']}", f"/s3-configs/{config['name']}", "/auth/keys")
        shown += [client.get(path) for path in paths]
        shown.append(httpx.get(f"{site.server.url}/metrics"))
        shown.append(httpx.get(f"{site.server.url}/health/ready"))
        # An error of the server's own: a column that is not there.
        site.rows("ALTER TABLE media RENAME COLUMN tags TO gone")
        broken = client.get(f"/media/{pid}?", headers={"X-Request-Id": "broken-1"})
        assert broken.status_code >= 500
        assert "Traceback" not in broken.text
        assert "gone" not in broken.text
        site.rows("ALTER TABLE media RENAME COLUMN gone TO tags")
        history = " ".join(row["changes"] for row in site.rows("SELECT changes::text AS changes FROM history"))
        signature = dict(httpx.URL(direct).params)["X-Amz-Signature"]
        hidden = {
            "S3 secret": secret, "S3 access key": access, "password": ADMIN[1], "other password": PASSWORD,
            "wrong password": "wrong-password-91c2", "API key": key, "API key's secret": key.rpartition("_")[2],
            "token": site.token, "token's signature": site.token.rpartition(".")[2], "wrong token": "wrong-token-33aa",
            "secret key": SECRET_KEY, "signature": signature,
        }  # fmt: skip
        log = site.server.log.read_text()
        assert log
        assert [what for what, text in hidden.items() if text in log] == []
        assert "query-string-5d2c" not in log
        assert [what for what, text in hidden.items() if text in history] == []
        answers = " ".join(answer.text for answer in shown)
        assert [what for what, text in hidden.items() if text in answers] == []
        rows = " ".join(str(dict(row)) for row in site.rows("SELECT * FROM s3_config") + site.rows("SELECT * FROM api_key"))
        assert [what for what, text in hidden.items() if text in rows] == []
