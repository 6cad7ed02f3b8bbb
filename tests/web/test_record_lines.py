"""What is copied from the page of a record, and its line through time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from mediastore.catalog.schemas import Content, Media, Version
from mediastore.retention.schemas import Hold, Outlook
from mediastore.transfers.requests import Site
from mediastore.web.record_lines import lines_of
from mediastore.web.record_timeline import timeline

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SITE = Site(api_url="https://data.example/store/api/v1")


def days(count: float) -> datetime:
    return NOW + timedelta(days=count)


def record(filename: str | None = "a.csv", **facts: Any) -> Media:
    content = Content(filename=filename, media_type="text/csv", size=1, stored_at=days(-9), checksums={})
    given = {
        "pid": "doi:10.1/a b",
        "pid_type": None,
        "identifiers": {},
        "metadata": {},
        "tags": [],
        "store": "local",
        "status": "ready",
        "status_reason": None,
        "version": 1,
        "content": content,
        "owner": "ann",
        "access": "private",
        "readers": [],
        "writers": [],
        "public_at": None,
        "expires_at": None,
        "held": False,
        "revision": 1,
        "created_at": days(-10),
        "updated_at": days(-10),
    }
    return Media(**{**given, **facts})


def test_lines_say_where_they_go_and_send_a_log_in_only_where_it_is_needed() -> None:
    private, public = (lines_of(record(), site=SITE, public=public) for public in (False, True))
    assert private.link == "https://data.example/store/records/doi:10.1/a%20b"
    assert private.content == "/api/v1/content/doi:10.1/a%20b"
    where = "-o a.csv https://data.example/store/api/v1/content/doi:10.1/a%20b"
    assert private.curl == f'curl -fL -H "Authorization: Bearer $MEDIASTORE_TOKEN" {where}'
    assert public.curl == f"curl -fL {where}"


def test_h14_a_file_name_is_no_option_no_folder_and_no_other_name() -> None:
    for name, kept in [
        ("-rf", "rf"),
        ("../../.ssh/keys", "keys"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("\n", "content"),
        ("$(x)", "'$(x)'"),
    ]:
        assert f" -o {kept} " in lines_of(record(name), site=SITE, public=True).curl


def test_of_a_record_without_content_the_lines_send_some() -> None:
    lines = lines_of(record(content=None), site=SITE, public=True)
    assert "-T FILE" in lines.curl
    assert "Authorization" in lines.curl, "sending needs a log-in, whoever may read"
    assert lines.command.endswith("mediastore put FILE --pid 'doi:10.1/a b'")


def test_the_line_through_time_is_in_order_with_now_in_its_place() -> None:
    versions = [
        Version(
            version=number,
            current=number == 5,
            state="stored",
            store="local",
            filename=None,
            media_type="",
            size=1,
            stored_at=days(number - 9),
            checksums={},
            checked_at=None,
            fixity=None,
        )
        for number in range(5, 0, -1)
    ]
    hold = Hold(id=SITE, placed_by="ben", reason="figure 3", until=days(40), created_at=days(-1))  # type: ignore[arg-type]
    outlook = Outlook(
        pid="x",
        status="ready",
        decided_by="hold",
        sentence="",
        expires_at=days(30),
        removal_at=days(40),
        restorable=False,
        old_versions_removal_at=days(5),
        holds=[hold],
    )
    moments = timeline(record(expires_at=days(30), public_at=days(-2)), versions, outlook, now=NOW)
    assert [moment.what for moment in moments] == [
        "Created by ann",
        "Version 1 verified and ready",
        "Version 5 verified and ready",
        "The embargo lifts: public from here on",
        "Held by ben: figure 3",
        "Now",
        "The next old version is removed",
        "Expires: no longer served",
        "The hold by ben ends",
        "The record and its bytes are removed",
    ]
    assert [moment.ahead for moment in moments] == [False] * 6 + [True] * 4
