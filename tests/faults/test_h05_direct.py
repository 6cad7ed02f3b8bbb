"""H05: digests that are claimed when a direct upload begins: read in every usual spelling, compared, never copied."""

import base64
import hashlib
from collections.abc import Iterator

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Direct, direct_site
from tests.faults.harness import MIB, content, name
from tests.transfers.sending import send

RIGHT, WRONG = b"the right bytes", b"the wrong bytes"
STORES = ("local", "scratch", "bucket")
METHODS = ("put", "post", "multipart")
SHA256, MD5 = hashlib.sha256(RIGHT), hashlib.md5(RIGHT)
SPELLINGS = {
    "hex": SHA256.hexdigest(),
    "upper case": SHA256.hexdigest().upper(),
    "base64": base64.b64encode(SHA256.digest()).decode(),
    "white space": f" \n\t{SHA256.hexdigest()} \r\n",
}
NONSENSE = {
    "an etag of parts": {"md5": f"{MD5.hexdigest()}-3"},
    "a quoted etag": {"md5": f'"{MD5.hexdigest()}"'},
    "an unknown algorithm": {"sha3-256": SHA256.hexdigest()},
    "an algorithm in upper case": {"SHA256": SHA256.hexdigest()},
    "another algorithm's length": {"sha256": MD5.hexdigest()},
    "no padding": {"sha256": base64.b64encode(SHA256.digest()).decode().rstrip("=")},
    "urlsafe base64": {"sha256": base64.urlsafe_b64encode(b"\xff" * 32).decode()},
    "white space within": {"sha256": SHA256.hexdigest()[:32] + " " + SHA256.hexdigest()[32:]},
    "nothing": {"sha256": ""},
    "one of two": {"md5": MD5.hexdigest(), "crc32c": "xyz"},
    "other digits": {"sha256": "\N{FULLWIDTH DIGIT ONE}" * 64},
}


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack, environment={"MEDIASTORE_QUARANTINE_S": "0"}) as made:
        yield made


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_h05_a_claim_is_compared_in_every_spelling(direct: Direct, spelling: str) -> None:
    claims = {"sha256": SPELLINGS[spelling]}
    for store in STORES:
        for method in METHODS:
            asked = {"store": store, "method": method, "size": len(RIGHT), "checksums": claims}
            right, wrong = direct.begin(pid=name(), **asked), direct.begin(pid=name(), **asked)
            send(right, RIGHT)
            checksums = direct.complete(right).json()["content"]["checksums"]
            assert checksums["sha256"]["value"] == SHA256.hexdigest()
            refused = [answer for answer in send(wrong, WRONG) if answer.status_code >= 400]
            answer = direct.complete(wrong)
            if refused:
                assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
            else:
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (422, "digest_mismatch")
                assert problem["claimed"] == SHA256.hexdigest()
                assert problem["computed"] == hashlib.sha256(WRONG).hexdigest()
            assert direct.admin.get(f"/media/{wrong['pid']}").json()["status"] == ("pending" if refused else "failed")
            direct.admin.delete(f"/uploads/{wrong['id']}")
    direct.settled(later=True)


@pytest.mark.parametrize("claim", NONSENSE)
def test_h05_what_is_no_digest_is_refused_before_anything_is_written(direct: Direct, claim: str) -> None:
    pid = name()
    for store in STORES:
        answer = direct.admin.post("/uploads", json={"pid": pid, "store": store, "size": 3, "checksums": NONSENSE[claim]})
        assert (answer.status_code, answer.json()["code"]) == (422, "digest_invalid"), answer.text
    assert direct.admin.get(f"/media/{pid}").status_code == 404
    upload = direct.begin(pid=pid, store="bucket", size=3, method="multipart")
    asked = {"parts": [{"number": 1, "checksums": NONSENSE[claim]}]}
    answer = direct.admin.post(f"/uploads/{upload['id']}/parts", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_invalid"), answer.text
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204


def test_h05_an_etag_is_never_a_digest(direct: Direct) -> None:
    data = content(5 * MIB + 1, "etag")
    for method in METHODS:
        parts = {"part_size": 5 * MIB} if method == "multipart" else {}
        upload = direct.begin(pid=name(), store="bucket", size=len(data), method=method, **parts)
        etags = [answer.headers["etag"].strip('"') for answer in send(upload, data)]
        checksums = direct.complete(upload).json()["content"]["checksums"]
        for algorithm, checksum in checksums.items():
            assert checksum == {**checksum, "value": hashlib.new(algorithm, data).hexdigest(), "attested_by": "server"}
        assert method != "multipart" or not {checksum["value"] for checksum in checksums.values()} & set(etags)
    direct.settled(later=True)
