"""AMPLIfy's calls that move bytes: as base64 in JSON, streamed both ways, or by signed URLs."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import msgspec
from litestar import Request, Response, get, post
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.dialects.amplify.base64_text import encoded, encoded_length
from mediastore.dialects.amplify.many import Many
from mediastore.dialects.amplify.refusals import answer_download, answer_upload
from mediastore.dialects.amplify.schemas import (
    AmplifyDownloaded,
    AmplifyFailed,
    AmplifyFailure,
    AmplifyLink,
    AmplifyLinked,
    AmplifyRefusal,
    AmplifyUpload,
    AmplifyUploaded,
    Pids,
)
from mediastore.dialects.amplify.transfers import Transfers
from mediastore.dialects.amplify.upload_body import UploadBody
from mediastore.dialects.faces import speaks
from mediastore.http.bodies import BODY
from mediastore.http.errors import BodyInvalid
from mediastore.http.paths import tail
from mediastore.http.provided import Provided
from mediastore.transfers.answers import Bytes, Sent, lines
from mediastore.transfers.downloads import Downloads
from mediastore.transfers.links import Links
from mediastore.transfers.routes import BodyLimits, body_of
from mediastore.transfers.sites import Sites

AnyRequest: TypeAlias = Request[Any, Any, Any]
MOST_LINKS = 1000
"""As in our own API: each is a statement or two, and a line of history."""
UPLOAD = speaks("amplify", refusals={401: AmplifyFailed, 403: AmplifyRefusal, 404: AmplifyRefusal, 422: AmplifyRefusal})
OF_ONE = {401: AmplifyFailure, 404: AmplifyRefusal, 422: AmplifyRefusal}


@post(
    "/upload",
    opt={**UPLOAD["opt"], BODY: AmplifyUpload},
    status_code=HTTP_200_OK,
    request_max_body_size=None,
    exception_handlers={Exception: answer_upload},
    summary="Upload by base64, or ask where to PUT the bytes",
)
async def upload(
    request: AnyRequest,
    account: Provided[Caller],
    amplify_transfers: Provided[Transfers],
    limits: Provided[BodyLimits],
    sites: Provided[Sites],
) -> AmplifyUploaded:
    require(account.identity, "write", to="upload")
    body = UploadBody(body_of(request, limits), longest=amplify_transfers.max_json_bytes)
    return await amplify_transfers.receive(body, caller=account, site=sites.of(request))


@get(
    "/download/{pid:path}",
    **speaks("amplify", refusals=OF_ONE),
    exception_handlers={Exception: answer_download},
    summary="Download a record and its content as base64",
)
async def download(
    request: AnyRequest,
    account: Provided[Caller],
    downloads: Provided[Downloads],
    amplify_many: Provided[Many],
) -> Response[AmplifyDownloaded]:
    require(account.identity, "read", to="download")
    pid = tail(request)
    media = await amplify_many.read_one(pid, caller=account)
    found = await downloads.find(pid, version=None, caller=account)
    pieces = await downloads.stream(found, start=0, end=found.size)
    downloads.begun(found, caller=account)
    head = b'{"mediadata":' + msgspec.json.encode(media) + b',"base64":"'
    length = len(head) + encoded_length(found.size) + len(END)
    headers = lines({"Content-Type": "application/json", "Cache-Control": "private, no-store"})
    return Sent(Bytes(HTTP_200_OK, headers, length=length, stream=framed(head, pieces)))  # type: ignore[return-value]


@get(
    "/download/url/{pid:path}",
    **speaks("amplify", refusals=OF_ONE),
    exception_handlers={Exception: answer_download},
    summary="A signed URL for the content of a record",
)
async def link(
    request: AnyRequest,
    account: Provided[Caller],
    downloads: Provided[Downloads],
    links: Provided[Links],
    sites: Provided[Sites],
    amplify_many: Provided[Many],
) -> AmplifyLink:
    require(account.identity, "read", to="download")
    pid = tail(request)
    media = await amplify_many.read_one(pid, caller=account)
    found = await downloads.find(pid, version=None, caller=account)
    issued = await links.issue(found, caller=account, site=sites.of(request))
    return AmplifyLink(mediadata=media, presigned_get=issued.url)


@post(
    "/download/urls",
    **speaks("amplify", body=Pids, refusals={401: AmplifyRefusal, 422: AmplifyRefusal}),
    status_code=HTTP_200_OK,
    summary="Signed URLs for the contents of many records, or what keeps each back",
)
async def links_of_many(
    request: AnyRequest,
    asked: Provided[Pids],
    account: Provided[Caller],
    amplify_transfers: Provided[Transfers],
    sites: Provided[Sites],
) -> list[AmplifyLinked]:
    require(account.identity, "read", to="download")
    if len(asked) > MOST_LINKS:
        raise BodyInvalid(f"{len(asked)} PIDs are too many for one call; send at most {MOST_LINKS}")
    return await amplify_transfers.links(asked, caller=account, site=sites.of(request))


END = b'"}'


async def framed(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The answer to a download, while its content comes."""
    yield head
    async for letters in encoded(pieces):
        yield letters
    yield END


ROUTES = [upload, download, link, links_of_many]
