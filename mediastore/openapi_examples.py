"""Examples of the document. Tests send every body to a server, and hold every value against its schema."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mediastore.accounts.schemas import AccountChange, AccountCreate, KeyCreate, LoginRequest, Token, TokenRequest
from mediastore.catalog.field_schemas import MetadataFieldCreate
from mediastore.catalog.interchange_schemas import ExportRequest
from mediastore.catalog.schemas import (
    BatchRequest,
    IdentifierTypeCreate,
    IdentifierTypeReplace,
    Media,
    MediaChange,
    MediaCreate,
    PatternTrial,
)
from mediastore.catalog.search_schemas import SearchRequest
from mediastore.http.problems import Problem
from mediastore.placement.schemas import S3ConfigCreate, S3ConfigReplace, StoreChange, StoreCreate
from mediastore.registering.schemas import RegistrationAsk, ScanAsk
from mediastore.retention.schemas import HoldCreate, SweepRequest
from mediastore.retention.upkeep_schemas import FindingDecision, ReconcileAsk
from mediastore.transfers.schemas import PartsAsked, UploadBegin, UploadComplete, UrlsAsked

PID = "IFCB101_D20240101T000000"
AT = "2026-01-01T00:00:00Z"

BODIES: Mapping[type, Mapping[str, Any]] = {
    LoginRequest: {"administrator": {"username": "admin", "password": "the password that the first start printed"}},
    TokenRequest: {"key": {"key": "the key that POST /api/v1/auth/keys showed once"}},
    KeyCreate: {
        "reading": {"name": "nightly report"},
        "writing": {"name": "instrument 101", "scopes": ["read", "write"], "expires_at": "2036-01-01T00:00:00Z"},
    },
    AccountCreate: {
        "editor": {"name": "alice", "password": "correct horse battery", "role": "editor", "groups": ["plankton"]},
        "service": {"name": "pipeline", "role": "editor"},
    },
    AccountChange: {
        "groups": {"role": "reader", "groups": ["plankton", "ctd"]},
        "my password": {"password": "a longer horse battery", "current_password": "correct horse battery"},
    },
    IdentifierTypeCreate: {
        "bin": {"name": "BIN", "pattern": "D[0-9]{8}", "unique": True, "description": "A day of an instrument"},
        "cruise": {"name": "CRUISE", "pattern": "[A-Z]{2}[0-9]{2,4}"},
    },
    PatternTrial: {"two values": {"pattern": "[A-Z]{2}[0-9]+", "values": ["AR77", "77"]}},
    IdentifierTypeReplace: {
        "wider": {"pattern": "D[0-9]{8}(T[0-9]{6})?", "unique": True, "description": "A bin of an instrument"}
    },
    MediaCreate: {
        "described": {
            "pid": PID,
            "metadata": {"instrument": "IFCB101", "depth": 12.5},
            "tags": ["raw"],
            "access": "internal",
            "readers": ["group:plankton"],
        },
        "with identifiers": {"pid": "D20240101", "pid_type": "BIN", "identifiers": {"CRUISE": "AR77"}},
        "for a week": {"pid": "scratch/2026/a", "ttl_s": 604800},
        "PID of the server's": {},
    },
    HoldCreate: {
        "for a paper": {"reason": "figure 3 of the paper under review", "until": "2036-01-01T00:00:00Z"},
        "until it is lifted": {"reason": "asked for by the data manager"},
    },
    SweepRequest: {"rehearsal": {"dry_run": True}, "now": {}, "bound to a rehearsal": {"rehearsal": 17}},
    UploadBegin: {
        "chosen by size": {
            "pid": "cast/7/raw",
            "size": 10,
            "media_type": "application/x-cast",
            "filename": "cast7.dat",
            "checksums": {"sha256": "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"},
        },
        "in parts": {"pid": "cast/8/raw", "size": 209715200, "method": "multipart", "part_size": 16777216, "tags": ["raw"]},
    },
    PartsAsked: {"two again": {"parts": [{"number": 1}, {"number": 2, "checksums": {"md5": "XrY7u+Ae7tCTyyK7j1rNww=="}}]}},
    UploadComplete: {"what is there": {}, "these parts": {"parts": [{"number": 1, "etag": '"part-17"'}]}},
    UrlsAsked: {"two records": {"items": [{"pid": PID}, {"pid": "cast/7/raw", "version": 1}], "expires_s": 600}},
    MediaChange: {
        "metadata and tags": {"metadata": {"depth": 13.1, "checked": True}, "tags": ["raw", "checked"]},
        "taken away": {"metadata": {"checked": None}, "identifiers": {"CRUISE": None}},
        "tags one by one": {"add_tags": ["checked"], "remove_tags": ["raw"]},
        "deep inside": {
            "set_metadata": [{"path": ["ctd", "casts", 0, "depth"], "value": 12.5}],
            "remove_metadata": [["ctd", "draft"]],
        },
        "public from a day on": {"public_at": "2027-01-01T00:00:00Z"},
    },
    BatchRequest: {
        "one of each": {
            "items": [
                {"op": "create", "pid": "batch/1", "tags": ["raw"]},
                {"op": "read", "pid": "batch/1"},
                {"op": "update", "pid": "batch/1", "metadata": {"depth": 3}, "add_tags": ["checked"]},
                {"op": "delete", "pid": "batch/1"},
            ]
        },
        "all or nothing": {"items": [{"op": "create", "pid": "batch/2"}, {"op": "create", "pid": "batch/3"}], "atomic": True},
        "only tried": {"items": [{"op": "delete", "pid": PID}], "dry_run": True},
    },
    ExportRequest: {
        "all of them": {},
        "going on": {"after": PID},
        "what a search finds": {"tags": {"all": ["raw"]}, "metadata": {"cruise": "AR77"}},
    },
    SearchRequest: {
        "by name and tags": {"pid": "IFCB101_*", "tags": {"all": ["raw"], "none": ["checked"]}, "sort": "-created_at"},
        "by metadata": {"metadata": {"cruise": "AR77"}, "where": "$.depth > 10 && $.depth < 20"},
        "by words, counted": {"q": "plank* AR77", "count": True, "facets": ["tags", "media_type"]},
        "by content": {"media_type": ["image/*"], "size": {"gte": 1000}, "status": ["ready"], "limit": 10},
    },
    MetadataFieldCreate: {
        "depth": {"name": "depth", "type": "number", "description": "Of the sample, in metres"},
        "start of a cast": {"name": "cast_start", "path": "ctd.start", "type": "time"},
    },
    StoreCreate: {
        "filesystem": {"name": "scratch", "kind": "filesystem", "path": "scratch", "retention": {"default_ttl_s": 604800}},
        "s3": {"name": "archive", "kind": "s3", "bucket": "products", "prefix": "mediastore/", "s3_config": "ceph"},
        "memory": {"name": "quick", "kind": "memory"},
    },
    StoreChange: {
        "off": {"enabled": False},
        "upkeep": {"upkeep": {"reconcile_interval_s": 43200, "unknown": "quarantine", "fixity_period_s": 2592000}},
        "retention": {"retention": {"default_ttl_s": 2592000, "max_ttl_s": 31536000}},
    },
    RegistrationAsk: {
        "a new record": {"key": "2024/a.csv", "pid": PID, "checksums": {"md5": "5eb63bbbe01eeed093cb22bb8f5acdc3"}},
        "described": {"key": "2024/b.csv", "media_type": "text/csv", "tags": ["raw"], "metadata": {"depth": 12.5}},
    },
    ScanAsk: {
        "everything": {"pid_pattern": "{key}"},
        "one folder": {"prefix": "2024/", "pid_pattern": "cast/{stem}", "tags": ["raw"], "access": "internal"},
    },
    ReconcileAsk: {"now": {}, "believing it": {"believe_missing": True}},
    FindingDecision: {"remove": {"decision": "remove"}, "adopt": {"decision": "adopt", "pid": PID}},
    S3ConfigCreate: {
        "ceph": {
            "name": "ceph",
            "endpoint_url": "https://s3.example.org",
            "region": "us-east-1",
            "access_key": "AKIAIOSFODNN7EXAMPLE",
            "secret_key": "kept by the server, never shown again",
        },
        "aws": {"name": "aws", "region": "eu-central-1", "addressing_style": "virtual"},
    },
    S3ConfigReplace: {"other region": {"endpoint_url": "https://s3.example.org", "region": "eu-west-1"}},
}
"""Bodies of requests, each with its name."""

PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: ("query_unknown", "this call has no query parameter 'depth'"),
    401: ("login_required", "you have to log in to create records"),
    403: ("not_allowed", f"alice may read {PID} but not change it"),
    404: ("record_not_found", f"there is no record {PID} that you may read"),
    408: ("upload_stalled", "nothing came for 60 s; send the upload again"),
    409: ("pid_taken", f"the PID {PID} is taken; PIDs are given out once"),
    410: ("record_gone", f"{PID} was deleted"),
    412: ("precondition_failed", "If-Match: the content is not the one that you name; nothing was changed"),
    413: ("body_too_large", "the body is longer than this call allows"),
    415: ("encoding_refused", "bytes are kept as they come: send them without Content-Encoding"),
    416: ("range_not_satisfiable", "the range 'bytes=5000-' lies outside the 1234 bytes that are there"),
    422: ("body_invalid", "tags: Expected `array`, got `str`"),
    424: ("batch_undone", "another item of this atomic batch failed, so this one was not done"),
    429: ("login_slowed_down", "too many wrong passwords; try again later"),
    503: ("database_unavailable", "the database does not answer"),
    507: ("store_full", "the store is full"),
}
"""A code for each status, with its sentence."""


def problem_like(status: int) -> dict[str, Any]:
    """A problem of this status, one of several that it may have."""
    code, detail = PROBLEMS[status]
    return {
        "type": f"urn:mediastore:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "0196f2c04bd97d0d9c1e9e1f6f0a3a52",
    }


SHOWN: Mapping[type, Any] = {
    Token: {
        "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.XmNK3GpH3Ys_7wsYBfq4C3M6goz71I7dTgUkuIa5lyQ",
        "token_type": "bearer",
        "expires_in": 3600,
    },
    Media: {
        "pid": PID,
        "pid_type": None,
        "identifiers": {"CRUISE": "AR77"},
        "metadata": {"instrument": "IFCB101", "depth": 12.5},
        "tags": ["raw"],
        "store": "local",
        "status": "ready",
        "status_reason": None,
        "version": 1,
        "content": {
            "filename": "a.csv",
            "media_type": "text/csv",
            "size": 11,
            "stored_at": AT,
            "checksums": {
                "md5": {"value": "5eb63bbbe01eeed093cb22bb8f5acdc3", "attested_by": "server", "at": AT},
                "sha256": {
                    "value": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
                    "attested_by": "server",
                    "at": AT,
                },
            },
        },
        "owner": "alice",
        "access": "internal",
        "readers": ["group:plankton"],
        "writers": [],
        "public_at": None,
        "expires_at": None,
        "held": False,
        "revision": 2,
        "created_at": AT,
        "updated_at": AT,
    },
    Problem: problem_like(404),
}
"""What answers look like."""
