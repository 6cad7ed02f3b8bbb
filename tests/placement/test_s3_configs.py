"""S3 configs and the stores on them: secrets go in and never come out."""

import httpx
import pytest

from mediastore.accounts.secrets import Sealer
from tests.accounts.peek import rows, whole_table
from tests.server import SECRET_KEY, Server, add_user

ENDPOINT = "http://127.0.0.1:9"
"""Nothing listens there: what is only said of a place must work while the place is away."""
ACCESS, SECRET = "AKIA-of-tests-0001", "very-secret-key-of-tests-0002"
OTHER_ACCESS, OTHER_SECRET = "AKIA-of-tests-0003", "very-secret-key-of-tests-0004"


def config(admin: httpx.Client, name: str, **fields: object) -> dict[str, object]:
    body = {"name": name, "endpoint_url": ENDPOINT, "region": "here", "access_key": ACCESS, "secret_key": SECRET, **fields}
    answer = admin.post("/s3-configs", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def store(admin: httpx.Client, name: str, s3_config: str, bucket: str, **fields: object) -> httpx.Response:
    return admin.post("/stores", json={"name": name, "kind": "s3", "bucket": bucket, "s3_config": s3_config, **fields})


def sealed(server: Server, name: str) -> tuple[str | None, str | None]:
    """The keys as the database has them, unsealed."""
    row = rows(server, "SELECT access_key_sealed, secret_key_sealed FROM s3_config WHERE name = $1", name)[0]
    sealer = Sealer(SECRET_KEY)
    first, second = (row[f"{part}_key_sealed"] for part in ("access", "secret"))
    return (first and sealer.unseal(first), second and sealer.unseal(second))


def test_a_config_is_made_read_replaced_listed_and_deleted(admin: httpx.Client) -> None:
    made = config(admin, "crud")
    assert {name: made[name] for name in ("name", "endpoint_url", "region", "addressing_style", "has_keys")} == {
        "name": "crud",
        "endpoint_url": ENDPOINT,
        "region": "here",
        "addressing_style": "path",
        "has_keys": True,
    }
    assert admin.get("/s3-configs/crud").json() == made
    assert made in admin.get("/s3-configs").json()["items"]
    replaced = admin.put("/s3-configs/crud", json={"endpoint_url": "http://127.0.0.1:10", "addressing_style": "virtual"})
    assert replaced.status_code == 200, replaced.text
    assert (replaced.json()["region"], replaced.json()["addressing_style"]) == (None, "virtual"), "PUT replaces"
    assert admin.delete("/s3-configs/crud").status_code == 204
    for answer in (admin.get("/s3-configs/crud"), admin.put("/s3-configs/crud", json={}), admin.delete("/s3-configs/crud")):
        assert (answer.status_code, answer.json()["code"]) == (404, "s3_config_not_found")


def test_secrets_go_in_and_never_come_out(server: Server, admin: httpx.Client) -> None:
    told = [
        admin.post("/s3-configs", json={"name": "mute", "endpoint_url": ENDPOINT, "access_key": ACCESS, "secret_key": SECRET})
    ]
    assert store(admin, "on-mute", "mute", "mute").status_code == 201
    told.append(
        admin.put("/s3-configs/mute", json={"endpoint_url": ENDPOINT, "access_key": OTHER_ACCESS, "secret_key": OTHER_SECRET})
    )
    told += [admin.get(path) for path in ("/s3-configs", "/s3-configs/mute", "/stores", "/stores/on-mute")]
    told.append(admin.post("/stores/on-mute/probe"))
    told.append(admin.put("/content/on-mute?store=on-mute", content=b"x"))
    told.append(
        admin.post("/s3-configs", json={"name": "mute", "endpoint_url": ENDPOINT, "access_key": ACCESS, "secret_key": SECRET})
    )
    told.append(admin.post("/s3-configs", json={"name": "MUTE", "access_key": ACCESS, "secret_key": SECRET}))
    assert told[0].is_success
    assert told[1].is_success
    places = [answer.text for answer in told] + [server.log.read_text()]
    places += [whole_table(server, table) for table in ("history", "store", "s3_config", "upload", "stored_object")]
    for secret in (ACCESS, SECRET, OTHER_ACCESS, OTHER_SECRET):
        for place in places:
            assert secret not in place
            assert secret.encode().hex() not in place, "a bytea is shown in hex"
    assert sealed(server, "mute") == (OTHER_ACCESS, OTHER_SECRET), "they are there, encrypted"


def test_replacing_without_keys_keeps_them_and_null_takes_them_away(server: Server, admin: httpx.Client) -> None:
    config(admin, "keeper")
    assert admin.put("/s3-configs/keeper", json={"endpoint_url": ENDPOINT, "region": "there"}).json()["has_keys"] is True
    assert sealed(server, "keeper") == (ACCESS, SECRET)
    half = admin.put("/s3-configs/keeper", json={"endpoint_url": ENDPOINT, "access_key": None})
    assert half.status_code == 422, "both or neither"
    assert sealed(server, "keeper") == (ACCESS, SECRET)
    gone = admin.put("/s3-configs/keeper", json={"endpoint_url": ENDPOINT, "access_key": None, "secret_key": None})
    assert gone.json()["has_keys"] is False
    assert sealed(server, "keeper") == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Upper"},
        {"name": "x", "access_key": "a"},
        {"name": "x", "secret_key": "a"},
        {"name": "x", "access_key": "", "secret_key": ""},
        {"name": "x", "addressing_style": "auto"},
        {"name": "x", "endpoint_url": "ftp://127.0.0.1"},
        {"name": "x", "endpoint_url": "127.0.0.1:9000"},
        {"name": "x", "endpoint_url": "http://"},
        {"name": "x", "endpoint_url": "http://127.0.0.1:port"},
        {"name": "x", "endpoint_url": "http://127.0.0.1?x=1"},
        {"name": "x", "endpoint_url": "http://169.254.169.254"},
        {"name": "x", "endpoint_url": "http://[fe80::1]"},
        {"name": "x", "endpoint_url": "http://0.0.0.0"},
        {"name": "x", "session_token": "t"},
    ],
    ids=str,
)
def test_a_config_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    refused = admin.post("/s3-configs", json=body)
    assert refused.status_code == 422, refused.text
    assert admin.get("/s3-configs/x").status_code == 404


@pytest.mark.parametrize(
    "endpoint", ["http://me:hunter2@127.0.0.1:9", "http://me:hunter2@127.0.0.1:port", "ftp://me:hunter2@127.0.0.1"]
)
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(server: Server, admin: httpx.Client, endpoint: str) -> None:
    refused = admin.post("/s3-configs", json={"name": "loud", "endpoint_url": endpoint})
    assert refused.status_code == 422
    assert "hunter2" not in refused.text
    assert "hunter2" not in server.log.read_text()


def test_a_name_is_unique_and_stays(admin: httpx.Client) -> None:
    config(admin, "taken")
    again = admin.post("/s3-configs", json={"name": "taken"})
    assert (again.status_code, again.json()["code"]) == (409, "s3_config_exists")
    assert admin.put("/s3-configs/taken", json={"name": "renamed"}).status_code == 422
    assert admin.put("/s3-configs/taken", json={"name": "taken", "endpoint_url": ENDPOINT}).status_code == 200


def test_a_config_that_a_store_uses_can_not_be_deleted(admin: httpx.Client) -> None:
    config(admin, "needed")
    assert store(admin, "on-needed", "needed", "needed").status_code == 201
    refused = admin.delete("/s3-configs/needed")
    assert (refused.status_code, refused.json()["code"]) == (409, "s3_config_in_use")
    assert admin.delete("/stores/on-needed").status_code == 204
    assert admin.delete("/s3-configs/needed").status_code == 204


def test_a_config_leads_elsewhere_only_while_its_stores_are_empty(server: Server, admin: httpx.Client) -> None:
    config(admin, "leading")
    assert store(admin, "on-leading", "leading", "leading").status_code == 201
    elsewhere = {"endpoint_url": "http://127.0.0.1:11", "region": "here"}
    assert admin.put("/s3-configs/leading", json=elsewhere).status_code == 200, "nothing is in it yet"
    assert admin.post("/media", json={"pid": "leading/1", "store": "on-leading"}).status_code == 201
    for body in ({"endpoint_url": ENDPOINT, "region": "here"}, {**elsewhere, "region": "there"}, {}):
        refused = admin.put("/s3-configs/leading", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "s3_config_in_use"), refused.text
        assert refused.json()["records"] == 1
    keys = {"access_key": OTHER_ACCESS, "secret_key": OTHER_SECRET, "addressing_style": "virtual"}
    assert admin.put("/s3-configs/leading", json={**elsewhere, **keys}).status_code == 200, "keys may always change"
    assert sealed(server, "leading") == (OTHER_ACCESS, OTHER_SECRET)
    for change in ({"bucket": "other"}, {"prefix": "other/"}, {"s3_config": None}):
        assert admin.patch("/stores/on-leading", json=change).status_code in {409, 422}, change
    refused = admin.patch("/stores/on-leading", json={"bucket": "other"})
    assert (refused.status_code, refused.json()["records"]) == (409, 1)


@pytest.mark.parametrize(
    ("place", "overlaps"),
    [
        ({"bucket": "lake"}, True),
        ({"bucket": "lake", "prefix": "raw/"}, True),
        ({"bucket": "lake", "prefix": "raw/deep/"}, True),
        ({"bucket": "lake", "prefix": "rawer/"}, False),
        ({"bucket": "lake", "prefix": "cooked/"}, False),
        ({"bucket": "sea"}, False),
    ],
    ids=str,
)
def test_stores_of_one_bucket_keep_apart_by_prefix(admin: httpx.Client, place: dict[str, str], overlaps: bool) -> None:
    if admin.get("/s3-configs/shared").status_code == 404:
        config(admin, "shared")
        config(admin, "shared-too", endpoint_url=ENDPOINT + "/")
        assert store(admin, "raw", "shared", "lake", prefix="raw/").status_code == 201
    for s3_config in ("shared", "shared-too"):
        answer = store(admin, "candidate", s3_config, **place)
        if overlaps:
            assert (answer.status_code, answer.json()["code"]) == (409, "store_overlaps"), answer.text
        else:
            assert answer.status_code == 201, answer.text
            assert admin.delete("/stores/candidate").status_code == 204


def test_a_config_does_not_lead_its_stores_into_the_place_of_others(admin: httpx.Client) -> None:
    config(admin, "here", endpoint_url="http://127.0.0.1:21")
    config(admin, "there", endpoint_url="http://127.0.0.1:22")
    assert store(admin, "pond-here", "here", "pond").status_code == 201
    assert store(admin, "pond-there", "there", "pond").status_code == 201
    answer = admin.put("/s3-configs/there", json={"endpoint_url": "http://127.0.0.1:21", "region": "here"})
    assert (answer.status_code, answer.json()["code"]) == (409, "store_overlaps"), answer.text


@pytest.mark.parametrize("same", ["http://LOCALHOST:31", "http://127.0.0.1:31/", "HTTP://localhost:31"])
def test_one_endpoint_written_otherwise_is_the_same_place(admin: httpx.Client, same: str) -> None:
    name = f"alias-{abs(hash(same)) % 10**6}"
    endpoint = "http://127.0.0.1:31" if "127" in same else "http://localhost:31"
    config(admin, f"{name}-a", endpoint_url=endpoint)
    config(admin, f"{name}-b", endpoint_url=same)
    assert store(admin, f"{name}-a", f"{name}-a", name).status_code == 201
    assert store(admin, f"{name}-b", f"{name}-b", name).status_code == 409


@pytest.mark.parametrize(
    ("one", "same"), [("http://127.0.0.1", "http://127.0.0.1:80"), ("https://127.0.0.1:443", "https://127.0.0.1")]
)
def test_a_default_port_written_out_is_the_same_place(admin: httpx.Client, one: str, same: str) -> None:
    name = "port-" + one.partition(":")[0]
    config(admin, f"{name}-a", endpoint_url=one)
    config(admin, f"{name}-b", endpoint_url=same)
    assert store(admin, f"{name}-a", f"{name}-a", name).status_code == 201
    assert store(admin, f"{name}-b", f"{name}-b", name).status_code == 409


def test_a_store_whose_config_is_not_there_is_refused(admin: httpx.Client) -> None:
    refused = store(admin, "unconfigured", "never-made", "b")
    assert (refused.status_code, refused.json()["code"]) == (404, "s3_config_not_found")


def test_a_probe_of_a_store_that_is_away_says_so(admin: httpx.Client) -> None:
    config(admin, "away")
    assert store(admin, "on-away", "away", "away").status_code == 201, "it need not be reachable yet"
    told = admin.post("/stores/on-away/probe")
    assert (told.status_code, told.json()["ok"]) == (200, False)
    failed = [step for step in told.json()["steps"] if not step["ok"]]
    assert failed[0]["detail"]


def test_only_administrators_see_configs(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "config-editor")
    config(admin, "private")
    with server.client("config-editor") as editor, server.client("") as nobody:
        for method, path, body in (
            ("GET", "/s3-configs", None),
            ("GET", "/s3-configs/private", None),
            ("GET", "/s3-configs/missing", None),
            ("POST", "/s3-configs", {"name": "mine"}),
            ("PUT", "/s3-configs/private", {}),
            ("DELETE", "/s3-configs/private", None),
        ):
            assert editor.request(method, path, json=body).status_code == 403, (method, path)
            assert nobody.request(method, path, json=body).status_code == 401, (method, path)


def test_changed_keys_are_in_the_history_as_changed(server: Server, admin: httpx.Client) -> None:
    config(admin, "told")
    admin.put("/s3-configs/told", json={"endpoint_url": ENDPOINT, "region": "here", "access_key": "a-1", "secret_key": "b-2"})
    found = rows(
        server, "SELECT action, changes::text AS changes FROM history WHERE kind = 's3_config' AND subject = 'told' ORDER BY id"
    )
    assert [event["action"] for event in found] == ["created", "changed"]
    assert "keys" in found[1]["changes"]
