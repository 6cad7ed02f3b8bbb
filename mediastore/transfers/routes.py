"""Content over HTTP: bytes in by PUT and by form, bytes out with ranges and conditions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Controller, HttpMethod, Request, post, put, route
from litestar.params import QueryParameter
from litestar.response import Response
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_201_CREATED,
    HTTP_206_PARTIAL_CONTENT,
    HTTP_304_NOT_MODIFIED,
    HTTP_307_TEMPORARY_REDIRECT,
)

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.routes import Describe, location
from mediastore.catalog.schemas import Media
from mediastore.catalog.service import Catalog
from mediastore.errors import MediastoreError
from mediastore.http.bodies import accepts
from mediastore.http.conditions import byte_range, range_applies, tags, unchanged, weakly
from mediastore.http.errors import HeaderInvalid, PreconditionFailed
from mediastore.http.paths import tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.transfers.answers import PATHSEND, Bytes, Sent, content_headers, lines
from mediastore.transfers.claims import claimed_digests
from mediastore.transfers.declared import (
    OCTETS,
    Declared,
    Precondition,
    about_record,
    checked_digests,
    checked_name,
    checked_type,
)
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.errors import DigestInvalid, EncodingRefused, UploadCut, UploadStalled, UploadTooLarge
from mediastore.transfers.form import Form, as_json
from mediastore.transfers.links import Link, Links
from mediastore.transfers.schemas import UrlAsked, UrlIssued, UrlsAsked, UrlsIssued
from mediastore.transfers.sites import Sites
from mediastore.transfers.streaming import GROUP
from mediastore.transfers.uploads import Received, Uploads, content_etag
from stores.errors import StoreError

AnyRequest: TypeAlias = Request[Any, Any, Any]

Version = Annotated[
    int | None, QueryParameter(ge=1, le=2_147_483_647, description="An older content; without it, the current one")
]
Direct = Annotated[bool, QueryParameter(description="307 to a signed URL, of the store where it has that")]
ContentToken = Annotated[
    str | None, QueryParameter(description="Of a signed URL to this server; stands for a log-in", max_length=2000)
]


BEGINNING = 16 * 1024
"""Bytes of a body that are handed on as they come; behind them, groups."""
CONDITIONS = frozenset({b"if-none-match", b"if-modified-since", b"if-range", b"range"})


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    idle_timeout_s: float
    max_content_bytes: int


class ContentController(Controller):
    path = "/content"
    tags = ("Content",)

    @put(
        "/{pid:path}",
        status_code=HTTP_200_OK,
        request_max_body_size=None,
        responses=problems(400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 503),
        summary="Upload the content of a record, which is made where there is none",
        description="The body is the bytes, streamed, of any length. 201 when the record was made, 200 when it was there. "
        "Content-MD5, Content-Digest and Repr-Digest are compared with what arrives.",
    )
    async def upload(
        self,
        request: AnyRequest,
        caller: Provided[Caller],
        uploads: Provided[Uploads],
        limits: Provided[BodyLimits],
        store: Annotated[str | None, QueryParameter(description="Where the bytes go; default: the record's store")] = None,
        pid_type: Annotated[str | None, QueryParameter(description="Identifier type of the PID of a new record")] = None,
        filename: Annotated[str | None, QueryParameter(description="The name under which it is downloaded")] = None,
        access: Annotated[str | None, QueryParameter(description="private, internal or public")] = None,
        ttl_s: Annotated[int | None, QueryParameter(description="Seconds until the record expires")] = None,
        expires_at: Annotated[str | None, QueryParameter(description="When the record expires, RFC 3339")] = None,
    ) -> Response[Media]:
        given = {"store": store, "pid_type": pid_type, "access": access, "ttl_s": ttl_s, "expires_at": expires_at}
        about = about_record(msgspec.json.encode({name: value for name, value in given.items() if value is not None}))
        received = await uploads.receive(
            tail(request),
            body_of(request, limits, most=limits.max_content_bytes),
            declared=declared_by(request, filename=filename),
            about=about,
            precondition=precondition_of(request),
            caller=caller,
        )
        return answer(received)

    @post(
        request_max_body_size=None,
        responses=problems(400, 401, 403, 404, 409, 410, 412, 413, 422, 503),
        summary="Upload by form: the record's fields, then the file",
        description="multipart/form-data. Fields as in the creation of a record (`pid`, `store`, `metadata` as JSON, …), and "
        '`checksums` as JSON, for example {"sha256": "…"}; the part `file` comes last.',
    )
    async def upload_form(
        self,
        request: AnyRequest,
        caller: Provided[Caller],
        uploads: Provided[Uploads],
        catalog: Provided[Catalog],
        limits: Provided[BodyLimits],
    ) -> Response[Media]:
        require(caller.identity, "write", to="upload")
        form = Form(body_of(request, limits), content_type=request.headers.get("content-type", ""))
        given = await form.fields()
        # An empty input is not given; but whoever names checksums, be they empty by mistake, wants them compared.
        fields = {name: text for name, text in given.items() if text or name == "checksums"}
        digests = checksums_of(fields.pop("checksums", "{}"))
        filename = fields.pop("filename", None) or form.filename
        media_type = fields.pop("media_type", None) or form.media_type
        pid = fields.pop("pid", "") or catalog.mint()
        received = await uploads.receive(
            pid,
            form.content(),
            declared=Declared(size=None, media_type=checked_type(media_type), filename=checked_name(filename), digests=digests),
            about=about_record(as_json(fields)),
            precondition=precondition_of(request),
            caller=caller,
        )
        return answer(received)

    @post(
        "/urls",
        **accepts(UrlsAsked),
        status_code=HTTP_200_OK,
        responses=problems(400, 401, 403, 422, 503),
        summary="Signed URLs for the content of many records",
        description="A result for each, in order. A URL reads one content without a log-in: of the store where it has such URLs, "
        "else of this server. Who was given which URL for how long is in the record's history.",
    )
    async def urls(
        self,
        request: AnyRequest,
        asked: Provided[UrlsAsked],
        caller: Provided[Caller],
        links: Provided[Links],
        sites: Provided[Sites],
        describe: Provided[Describe],
    ) -> UrlsIssued:
        outcomes = await links.issue_many(asked.items, expires_s=asked.expires_s, caller=caller, site=sites.of(request))
        return UrlsIssued(items=[issued(item, outcome, describe) for item, outcome in zip(asked.items, outcomes, strict=True)])

    @route(
        "/{pid:path}",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        status_code=HTTP_200_OK,
        media_type=OCTETS,
        responses=problems(401, 404, 410, 416, 422, 503),
        summary="Download the content of a record",
        description="Single byte ranges, If-Range, If-None-Match and If-Modified-Since are honoured.",
    )
    async def download(
        self,
        request: AnyRequest,
        caller: Provided[Caller],
        downloads: Provided[Downloads],
        links: Provided[Links],
        sites: Provided[Sites],
        version: Version = None,
        direct: Direct = False,
        token: ContentToken = None,
    ) -> Response[None]:
        pid = tail(request)
        if token is None:
            found = await downloads.find(pid, version=version, caller=caller)
        else:
            found = await links.redeem(pid, token, version=version, caller=caller)
        if direct and token is None:
            link = await links.issue(found, caller=caller, site=sites.of(request))
            headers = lines({"Location": link.url, "Cache-Control": "private, no-store"})
            return Sent(Bytes(HTTP_307_TEMPORARY_REDIRECT, headers, length=0))
        return Sent(await served(request, found, caller, downloads))


async def download(request: AnyRequest, caller: Caller, downloads: Downloads) -> Bytes:
    """The answer to a GET or HEAD of content without parameters."""
    return await served(request, await downloads.find(tail(request), version=None, caller=caller), caller, downloads)


async def served(request: AnyRequest, found: Download, caller: Caller, downloads: Downloads) -> Bytes:
    """What the request wants of bytes that it may have: all, a range, or to know that it has them already."""
    headers = content_headers(found)
    # Of a header that stands there twice, the first.
    given = {name: value.decode("latin-1") for name, value in reversed(list(request.scope["headers"])) if name in CONDITIONS}
    if unchanged(
        etag=found.etag,
        modified_at=found.stored_at,
        if_none_match=given.get(b"if-none-match"),
        if_modified_since=given.get(b"if-modified-since"),
    ):
        return Bytes(HTTP_304_NOT_MODIFIED, headers)
    part = None
    if request.method == "GET" and range_applies(etag=found.etag, modified_at=found.stored_at, if_range=given.get(b"if-range")):
        part = byte_range(given.get(b"range"), found.size)
    if request.method == "HEAD":
        return Bytes(HTTP_200_OK, headers, length=found.size)
    if part is not None:
        start, end = part
        of_it = lines({"Content-Range": f"bytes {start}-{end - 1}/{found.size}"})
        pieces = await downloads.stream(found, start=start, end=end)
        downloads.begun(found, caller=caller)
        return Bytes(HTTP_206_PARTIAL_CONTENT, headers + of_it, length=end - start, stream=pieces)
    file = await downloads.file(found) if PATHSEND in (request.scope.get("extensions") or {}) else None
    stream = await downloads.stream(found, start=0, end=found.size) if file is None else None
    downloads.begun(found, caller=caller)
    return Bytes(HTTP_200_OK, headers, length=found.size, file=file, stream=stream)


async def body_of(request: AnyRequest, limits: BodyLimits, *, most: int | None = None) -> AsyncIterator[bytes]:
    """The body, piece by piece.

    Raises `UploadStalled` when nothing comes for too long, `UploadCut` when the connection ends, and `UploadTooLarge` as soon as
    more than `most` bytes have come, whatever is still gathered.
    """
    more, come = True, 0
    while more:
        # A form says at its beginning what it is about: an upload is written down before a slow client has sent much of it.
        group = GROUP if come >= BEGINNING else 1
        left = None if most is None else most - come
        pieces, more = await _pieces(request.receive, group=group, left=left, idle_timeout_s=limits.idle_timeout_s)
        for piece in pieces:
            come += len(piece)
            yield piece


async def _pieces(receive: Any, *, group: int, left: int | None, idle_timeout_s: float) -> tuple[list[bytes], bool]:
    """About as much as is stored at once, and whether more comes. One time limit serves many pieces."""
    now = asyncio.get_running_loop().time
    pieces: list[bytes] = []
    size, moved_at = 0, now()
    try:
        async with asyncio.timeout(idle_timeout_s) as limit:
            while size < group:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise UploadCut("the connection ended before the body did")
                pieces.append(message["body"])
                size += len(message["body"])
                if left is not None and size > left:
                    raise UploadTooLarge("more has come than one upload may have; MEDIASTORE_MAX_UPLOAD_BYTES is the limit")
                if not message.get("more_body", False):
                    return pieces, False
                if now() - moved_at > 1:
                    moved_at = now()
                    limit.reschedule(moved_at + idle_timeout_s)
    except TimeoutError as error:
        raise UploadStalled(f"nothing came for {idle_timeout_s:g} s; send the upload again") from error
    return pieces, True


def declared_by(request: AnyRequest, *, filename: str | None) -> Declared:
    """What the headers of a PUT say of its body."""
    headers = request.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodingRefused("bytes are kept as they come: send them without Content-Encoding")
    if "content-range" in headers:
        raise HeaderInvalid("a PUT holds the whole content; Content-Range is not for it")
    length = headers.get("content-length")
    media_type = headers.get("content-type") or OCTETS
    if media_type == "application/x-www-form-urlencoded":  # what curl says of a body when nobody told it
        media_type = OCTETS
    names = ("content-md5", "content-digest", "repr-digest")
    return Declared(
        size=int(length) if length is not None and length.isdecimal() else None,
        media_type=checked_type(media_type),
        filename=checked_name(filename),
        digests=claimed_digests({name: headers.getall(name, []) for name in names}),
    )


def checksums_of(text: str) -> dict[str, str]:
    """Claimed digests from the form field. Raises `DigestInvalid`."""
    try:
        return checked_digests(msgspec.json.decode(text, type=dict[str, str]))
    except msgspec.DecodeError as error:
        raise DigestInvalid('checksums has to be JSON such as {"sha256": "…"}') from error


def precondition_of(request: AnyRequest) -> Precondition:
    """If-Match and If-None-Match of an upload, about the content that the record has."""
    if_match, if_none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    wanted = None if if_match is None else tags(if_match, name="If-Match")
    refused = None if if_none_match is None else tags(if_none_match, name="If-None-Match")

    def check(row: MediaRow | None) -> None:
        etag = None if row is None or row.object is None else content_etag(row.version, row.object)
        if if_match is not None and (etag is None or (wanted is not None and etag not in wanted)):
            raise PreconditionFailed("If-Match: the content is not the one that you name; nothing was changed", etag=etag)
        if if_none_match is not None and etag is not None and (refused is None or etag in weakly(refused)):
            raise PreconditionFailed("If-None-Match: the record has content already; nothing was changed", etag=etag)

    return check


def issued(asked: UrlAsked, outcome: Link | MediastoreError | StoreError, describe: Describe) -> UrlIssued:
    if isinstance(outcome, Link):
        found = outcome.download
        return UrlIssued(status=HTTP_200_OK, pid=found.pid, version=found.version, url=outcome.url, expires_at=outcome.expires_at)
    status, problem = describe(outcome)
    return UrlIssued(status=status, pid=asked.pid, version=asked.version, problem=problem)


def answer(received: Received) -> Response[Media]:
    headers = {"ETag": received.etag, "Location": location(received.media.pid)}
    return Response(received.media, status_code=HTTP_201_CREATED if received.created else HTTP_200_OK, headers=headers)
