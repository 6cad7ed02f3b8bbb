"""Uploads as this dialect has them, over the services that have the rules: each is a private record in a store of its own."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.schemas import Checksum, Media, MediaChange
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import SearchRequest
from mediastore.catalog.service import Catalog
from mediastore.dialects.staging.schemas import LABEL_LENGTH, UPLOAD, About, Kept, Report, Status
from mediastore.http.errors import RequestError
from mediastore.transfers.declared import Declared, about_record, always, checked_digests, checked_name, checked_type
from mediastore.transfers.downloads import Downloads
from mediastore.transfers.errors import FormInvalid, UploadUnknown
from mediastore.transfers.form import Form
from mediastore.transfers.links import Link, Links
from mediastore.transfers.queries import Attempt
from mediastore.transfers.requests import Site
from mediastore.transfers.sites import API
from mediastore.transfers.uploads import Uploads

DIGESTS = ("md5", "sha1")
"""What a report tells, whatever the store asks for."""
FIELDS = frozenset({"label", "size", *DIGESTS})
LATE = frozenset({"label"})
"""Fields that may follow the file, as `curl -F file=@a -F label=b` has them."""

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The last characters of a minted PID."""

ENDED: Mapping[str, str] = {
    "upload_cut": "the connection ended before the whole file had come",
    "interrupted": "the server stopped, or lost the connection, before the whole file had come",
    "upload_interrupted": "it was given up while the file was on its way",
    "lost": "it was on its way into the memory of a server that has stopped",
}
"""Why an upload failed, by the word that its row has for it."""


class StagedPage(Struct, frozen=True, kw_only=True):
    reports: list[Report]
    next: str | None


class StagedUploads:
    def __init__(
        self,
        *,
        catalog: Catalog,
        search: Search,
        uploads: Uploads,
        downloads: Downloads,
        links: Links,
        store: str,
        ttl_s: int,
        prefix: str,
    ) -> None:
        self._catalog = catalog
        self._search = search
        self._uploads = uploads
        self._downloads = downloads
        self._links = links
        self._store = store
        self._ttl_s = ttl_s
        self._prefix = prefix.rstrip("/")

    async def receive(self, form: Form, *, caller: Caller, site: Site) -> Report:
        """Store the file of the form. It is `pending` from before its first byte is stored; the report tells that it is whole."""
        require(caller.identity, "write", to="upload")
        fields = known(await form.fields())
        filename = checked_name(form.filename)
        pid = self._catalog.mint()
        about = About(id=pid[-36:], label=label_of(fields) or filename or "", filename=filename)
        received = await self._uploads.receive(
            pid,
            self._labelled(pid, form, given="label" in fields, caller=caller),
            declared=Declared(
                size=size_of(fields),
                media_type=checked_type(form.media_type),
                filename=filename,
                digests=checked_digests({name: fields[name] for name in DIGESTS if fields.get(name)}),
                wanted=DIGESTS,
            ),
            about=about_record(
                msgspec.json.encode({"store": self._store, "ttl_s": self._ttl_s, "metadata": Kept(staging=about)})
            ),
            precondition=always,
            caller=caller,
        )
        return self._report(received.media, None, site=site)

    async def page(self, *, cursor: str | None, limit: int, caller: Caller, site: Site) -> StagedPage:
        """The caller's own uploads, newest first."""
        require(caller.identity, "read", to="see your uploads")
        found = await self._search.run(self._own({"kind": UPLOAD}, caller=caller, limit=limit, cursor=cursor), caller=caller)
        uploads = [media for media in found.items if about_of(media) is not None]
        attempts = await self._attempts(uploads)
        return StagedPage(reports=[self._report(media, attempts.get(media.pid), site=site) for media in uploads], next=found.next)

    async def report(self, id: str, *, caller: Caller, site: Site) -> Report:
        """One of the caller's own. Raises `UploadUnknown`, the same for another's."""
        media = await self._find(id, caller=caller)
        return self._report(media, (await self._attempts([media])).get(media.pid), site=site)

    async def link(self, id: str, *, caller: Caller, site: Site) -> Link:
        """A URL that gives the bytes without a log-in: of the store where it has such URLs, else of this server."""
        media = await self._find(id, caller=caller)
        found = await self._downloads.find(media.pid, version=None, caller=caller)
        return await self._links.issue(found, caller=caller, site=site)

    async def delete(self, id: str, *, caller: Caller) -> None:
        media = await self._find(id, caller=caller)
        await self._catalog.delete(media.pid, revisions=None, caller=caller)

    async def _find(self, id: str, *, caller: Caller) -> Media:
        require(caller.identity, "read", to="use your uploads")
        items = list[Media]()
        if ID.fullmatch(id):
            # The oldest: whoever learned the id from a link can make a record that says the same, and hand it on to its owner.
            asked = structs.replace(self._own({"id": id}, caller=caller, limit=1), sort="created_at")
            items = (await self._search.run(asked, caller=caller)).items
        if not items or about_of(items[0]) is None:
            raise UploadUnknown(f"you have no upload {id[:36]!r}; it may have expired, or been deleted")
        return items[0]

    def _own(self, about: Mapping[str, str], *, caller: Caller, limit: int, cursor: str | None = None) -> SearchRequest:
        # By what the record says of itself and not by its store or PID: both follow from settings, which can change.
        return SearchRequest(
            owner=[caller.identity.name],
            metadata=Raw(msgspec.json.encode({"staging": about})),
            limit=limit,
            cursor=cursor,
        )

    async def _attempts(self, uploads: Sequence[Media]) -> dict[str, Attempt]:
        pending = [media for media in uploads if media.status == "pending"]
        return await self._uploads.attempts(pending) if pending else {}

    async def _labelled(self, pid: str, form: Form, *, given: bool, caller: Caller) -> AsyncIterator[bytes]:
        """The file, and then, before it becomes the record's content, the label that came behind it."""
        async for piece in form.content():
            yield piece
        if "label" in form.after:
            if given:
                raise FormInvalid("the field label is given twice")
            if label := label_of(form.after):
                change = MediaChange(metadata=Raw(msgspec.json.encode({"staging": {"label": label}})))
                await self._catalog.change(pid, change, revisions=None, caller=caller)

    def _report(self, media: Media, attempt: Attempt | None, *, site: Site) -> Report:
        about = about_of(media) or About(id=media.pid[-36:], label=media.pid)
        status, reason = status_of(media, attempt)
        content = media.content if status == "success" else None
        digests = {} if content is None else digests_of(content.checksums)
        return Report(
            id=about.id,
            label=about.label,
            status=status,
            reason=reason,
            sha1=digests.get("sha1"),
            md5=digests.get("md5"),
            data_url=f"{site.api_url.removesuffix(API)}{self._prefix}/upload/{about.id}/data",
            expires_at=media.expires_at,
            filename=about.filename if content is None else content.filename,
            media_type=None if content is None else content.media_type,
            size=None if content is None else content.size,
            created_at=media.created_at,
            uploaded_at=None if content is None else content.stored_at,
            pid=media.pid,
        )


def known(fields: dict[str, str]) -> dict[str, str]:
    """The fields. Raises `FormInvalid` for one that would be ignored."""
    for name in fields:
        if name not in FIELDS:
            raise FormInvalid(f"the field {name!r} is unknown; the form has file and label, and may have size, sha1 and md5")
    return fields


def label_of(fields: Mapping[str, str]) -> str:
    label = fields.get("label", "").strip()
    if len(label) > LABEL_LENGTH or any(ord(letter) < 32 or ord(letter) == 127 for letter in label):
        raise FormInvalid(f"a label is one line of at most {LABEL_LENGTH} characters")
    return label


def size_of(fields: Mapping[str, str]) -> int | None:
    text = fields.get("size", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise RequestError("the field size is the number of bytes of the file")
    return int(text) if text else None


def about_of(media: Media) -> About | None:
    """What the record says of itself; None where somebody has made something else of it: metadata are free."""
    metadata: Any = media.metadata
    try:
        about = msgspec.json.decode(metadata, type=Kept).staging
    except msgspec.ValidationError:
        return None
    return about if ID.fullmatch(about.id) and media.pid.endswith(about.id) else None


def digests_of(checksums: Any) -> dict[str, str]:
    """What was computed, never what was claimed."""
    found = msgspec.json.decode(checksums, type=dict[str, Checksum])
    return {name: item.value for name, item in found.items() if item.attested_by != "claimed"}


def status_of(media: Media, attempt: Attempt | None) -> tuple[Status, str | None]:
    """The status of an upload, and why it failed."""
    if media.status == "ready":
        return "success", None
    if media.status == "pending" and attempt is not None and attempt.state in {"open", "verifying", "completed"}:
        return "pending", None
    if media.status == "pending":
        word = None if attempt is None else attempt.reason
        why = ENDED.get(word or "", "it did not come to its end" + (f" ({word})" if word else ""))
        return "failure", f"{why}; delete this upload and send the file again"
    return "failure", f"{media.status_reason or media.status}; delete this upload and send the file again"
