"""What a client sends by itself, ready-made: to the store where that takes it, else to this server, by the same contract."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from mediastore.clock import Clock
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.schemas import Part
from mediastore.transfers.tickets import Tickets
from stores.parts import Parts, plan_parts
from stores.protocol import SignedRequest, Store

MOST_URLS = 1000
"""URLs in one answer; those of further parts are asked for."""
BREATH = 20
"""URLs signed before others get their turn: each takes 0.4 ms of the event loop."""


class Site(Struct, frozen=True, kw_only=True):
    """How the client reaches this server."""

    api_url: str
    """Without a trailing slash, such as https://data.example.org/api/v1."""


class Requests:
    def __init__(self, tickets: Tickets, *, ttl_s: int, clock: Clock) -> None:
        self._tickets = tickets
        self._ttl_s = ttl_s
        self._clock = clock

    def end(self, upload: UploadRow, store: Store) -> datetime:
        """Until when requests that are made at this moment can be sent. To be written down before they leave the server."""
        return self._second() + timedelta(seconds=self._ttl_s) if store.features.presigned else upload.expires_at

    async def whole(self, upload: UploadRow, store: Store, site: Site, *, end: datetime) -> SignedRequest:
        """One request with the whole content, to be sent before `end`."""
        if not store.features.presigned:
            return self._here(upload, site)
        key, expires_s = upload.landing_key or upload.key, self._left_s(end)
        if upload.method == "post" and upload.size is not None:
            return await store.presign_post(
                key, expires_s=expires_s, size=upload.size, media_type=upload.media_type, digests=upload.claimed
            )
        return await store.presign_put(
            key, expires_s=expires_s, size=upload.size, media_type=upload.media_type, digests=upload.claimed
        )

    async def parts(
        self,
        upload: UploadRow,
        store: Store,
        site: Site,
        *,
        received: Mapping[int, object],
        asked: Mapping[int, Mapping[str, str]],
        end: datetime,
    ) -> list[Part]:
        """Every part of the plan. Those in `asked` come with a URL until `end`, which signs the digests given there."""
        plan = plan_of(upload)
        shown: list[Part] = []
        signed = 0
        for number in range(1, plan.count + 1):
            offset, size = plan.span(number)
            request = None
            if number in asked:
                request = await self._part(upload, store, site, number=number, size=size, digests=asked[number], end=end)
                signed += 1
                if signed % BREATH == 0:
                    await asyncio.sleep(0)
            shown.append(
                Part(
                    number=number,
                    offset=offset,
                    size=size,
                    received=number in received,
                    url=request.url if request else None,
                    headers=dict(request.headers) if request else {},
                )
            )
        return shown

    def missing(self, upload: UploadRow, received: Mapping[int, object]) -> dict[int, Mapping[str, str]]:
        """The parts that are not there, as far as one answer holds their URLs."""
        numbers = (number for number in range(1, plan_of(upload).count + 1) if number not in received)
        return {number: {} for number, _ in zip(numbers, range(MOST_URLS), strict=False)}

    async def _part(
        self, upload: UploadRow, store: Store, site: Site, *, number: int, size: int, digests: Mapping[str, str], end: datetime
    ) -> SignedRequest:
        if store.features.presigned:
            assert upload.s3_upload_id is not None  # noqa: S101 - it is asked for before any URL is made
            return await store.presign_part(
                upload.key, upload.s3_upload_id, number, size=size, expires_s=self._left_s(end), digests=digests
            )
        return self._put_here(upload, site, number, size, digests=digests)

    def _left_s(self, end: datetime) -> int:
        """However late it is signed, no request outlives what was written down: bytes could come after their key was purged."""
        return max(1, int((end - self._second()).total_seconds()))

    def _second(self) -> datetime:
        """This moment as S3 writes it, in whole seconds."""
        return self._clock().replace(microsecond=0)

    def _here(self, upload: UploadRow, site: Site) -> SignedRequest:
        if upload.method == "post":
            token = self._tickets.part(upload.id, 1, upload.size or 0)
            return SignedRequest(method="POST", url=f"{site.api_url}/uploads/{upload.id}/form", fields={"token": token})
        return self._put_here(upload, site, 1, upload.size or 0)

    def _put_here(
        self, upload: UploadRow, site: Site, number: int, size: int, *, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        listed = ",".join(f"{algorithm}:{digest}" for algorithm, digest in sorted(digests.items()))
        token = self._tickets.part(upload.id, number, size, digests=listed)
        url = f"{site.api_url}/uploads/{upload.id}/parts/{number}?token={token}" + (f"&digests={listed}" if listed else "")
        return SignedRequest(method="PUT", url=url, headers={} if upload.size is None else {"Content-Length": str(size)})


def plan_of(upload: UploadRow) -> Parts:
    """The parts of an upload; one, of its whole size, where it is sent in one request, and of none where that is not known."""
    size = upload.size or 0
    if upload.part_size is None:
        return Parts(size=size, part_size=max(size, 1), count=1)
    return plan_parts(size, upload.part_size)
