#!/usr/bin/env python3
"""A whole session with AMPLIfy's API by plain HTTP, with nothing but Python's own library.

    AMPLIFY=http://localhost:8000/amplify AMPLIFY_USER=admin AMPLIFY_PASSWORD=... python3 amplify.py

With S3_ENDPOINT, S3_KEY, S3_SECRET and S3_BUCKET it also uses a BucketStore. It needs an administrator: it makes stores and
identifier types, and leaves them there. Its records it deletes; PIDs are given out once, so each run has its own.
"""
# ruff: noqa: S101, S310, T201 - a script to read and to run: its assertions say what to expect

import base64
import json
import os
import time
import urllib.request

BASE = os.environ["AMPLIFY"].rstrip("/") + "/api"
HEADERS = {"Content-Type": "application/json"}
RUN = f"{time.time():.0f}{os.getpid()}"
CONTENT = b"egg salad sandwich\n" * 1000


def call(method, path, body=None):
    """The answer's JSON; None where there is none. An error is an exception, as in that system's own client."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, method=method, headers=HEADERS)
    with urllib.request.urlopen(request) as answer:
        assert answer.status in (200, 204), answer.status
        text = answer.read()
        return json.loads(text) if text else None


def media(name, store, **more):
    return {"pid": f"{name}-{RUN}", "pid_type": "DEMO", "store_config": store, **more}


# Log in.
assert call("GET", "/hello") == {"msg": "Hello, world!"}
login = {"username": os.environ["AMPLIFY_USER"], "password": os.environ["AMPLIFY_PASSWORD"]}
HEADERS["Authorization"] = "Bearer " + call("POST", "/login", login)["token"]

# Identifier types: what PIDs and identifiers look like. An empty pattern takes anything.
known = {found["name"] for found in call("GET", "/identifier/list")}
for name, pattern in (("DEMO", ""), ("CRUISE", "AR[0-9]+")):
    if name not in known:
        call("POST", "/identifier", {"name": name, "pattern": pattern})
call("PUT", "/identifier", {"name": "CRUISE", "pattern": "[A-Z]{2}[0-9]+"})
assert call("GET", "/identifier/CRUISE")["pattern"] == "[A-Z]{2}[0-9]+"

# Stores. One that is there is found again.
folder = call("POST", "/store", {"type": "FilesystemStore", "bucket": "/demobucket", "s3_url": ""})
assert call("GET", f"/store/{folder['pk']}") == folder
assert folder in call("GET", "/stores")
stores = [folder, call("POST", "/store", {"type": "DictStore", "bucket": "demo_ram"})]
if "S3_ENDPOINT" in os.environ:
    url = os.environ["S3_ENDPOINT"]
    if url not in [config["url"] for config in call("GET", "/s3cfgs")]:
        made = call("POST", "/s3cfg", {"url": url, "access_key": os.environ["S3_KEY"], "secret_key": os.environ["S3_SECRET"]})
        assert call("GET", f"/s3cfg/{made['pk']}") == {"pk": made["pk"], "url": url}
    stores.append(call("POST", "/store", {"type": "BucketStore", "bucket": os.environ["S3_BUCKET"], "s3_url": url}))

# One record.
record = call("POST", "/media", media("one", folder, identifiers={"CRUISE": "AR77"}, metadata={"ctd": {"depth": 12.5}}))
assert record["store_status"] == "PENDING"
assert call("GET", f"/media/{record['pid']}") == record

# Many records, and changes of many.
pids = [f"bulk{number}-{RUN}" for number in range(3)]
call("POST", "/media/create", [media(f"bulk{number}", folder, tags=[RUN]) for number in range(3)])
assert [found["pid"] for found in call("POST", "/media/search", {"tags": [RUN]})] == pids
assert call("PATCH", "/media/update/tags", [{"pid": pids[0], "tags": ["raw"]}])["successes"] == [pids[0]]
assert call("PUT", "/media/update/tags", [{"pid": pids[1], "tags": ["level1"]}])["failures"] == []
call("PUT", "/media/update/identifiers", [{"pid": pids[0], "identifiers": {"CRUISE": "AR78"}}])
call("PUT", "/media/update/metadata", [{"pid": pids[0], "data": {"ctd": {"depth": 10}, "camera": "C1"}}])
call("PATCH", "/media/update/metadata", [{"pid": pids[0], "keys": ["ctd"], "data": {"salt": 35}}])
call("DELETE", "/media/update/metadata", [{"pid": pids[0], "keys": ["camera"]}])
[changed] = call("POST", "/media/read", [pids[0]])
assert changed["metadata"] == {"ctd": {"depth": 10, "salt": 35}}
assert (changed["tags"], changed["identifiers"]) == ([RUN, "raw"], {"CRUISE": "AR78"})

for store in stores:
    # Bytes in one call, as base64.
    direct = media(f"direct-{store['type']}", store)
    assert call("POST", "/upload", {"mediadata": direct, "base64": base64.b64encode(CONTENT).decode()}) == {"status": "READY"}
    # Bytes in two steps: ask, then PUT them to the URL. No further call: they are found.
    asked = media(f"asked-{store['type']}", store)
    upload = call("POST", "/upload", {"mediadata": asked})
    with urllib.request.urlopen(urllib.request.Request(upload["presigned_put"], data=CONTENT, method="PUT")) as answer:
        assert answer.status == 200
    for pid in (direct["pid"], asked["pid"]):
        told = call("GET", f"/download/{pid}")
        assert told["mediadata"]["store_status"] == "READY"
        assert base64.b64decode(told["base64"]) == CONTENT
        with urllib.request.urlopen(call("GET", f"/download/url/{pid}")["presigned_get"]) as answer:
            assert answer.read() == CONTENT
    assert len(call("POST", "/download/urls", [direct["pid"], asked["pid"]])) == 2
    pids += [direct["pid"], asked["pid"]]

# Away with them, and their bytes.
assert call("DELETE", f"/media/{record['pid']}") is None
assert call("POST", "/media/delete", pids) == {"successes": pids, "failures": []}
assert not [found for found in call("GET", "/media/dump") if found["pid"].endswith(RUN)]
print(f"{len(pids) + 1} records made, read, changed and deleted; {len(stores)} stores")
