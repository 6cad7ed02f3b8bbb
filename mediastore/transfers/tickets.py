"""What URLs to this server carry in place of a log-in: `?token=` for one upload, one part of it, or one content."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

import jwt
import msgspec
from msgspec import Struct

from mediastore.accounts.secrets import derive
from mediastore.clock import Clock
from mediastore.transfers.errors import TicketWrong

ALGORITHM = "HS256"
AUDIENCE = "mediastore content"


class ContentTicket(Struct, frozen=True, kw_only=True):
    """Lets its holder read one object, for as long as who issued it may."""

    sub: str
    """Whose right to read counts, at the moment when it is used."""
    pid: str
    version: int
    object: int
    exp: int


class Tickets:
    """Tickets of uploads have no end of their own: the upload's row says whether it is open, so they can be revoked."""

    def __init__(self, secret_key: str, *, clock: Clock) -> None:
        self._upload_key = derive(secret_key, purpose="upload tokens")
        self._content_key = derive(secret_key, purpose="content tokens")
        self._clock = clock

    def upload(self, upload: UUID) -> str:
        """For the calls about one upload."""
        return self._mac(f"upload {upload}")

    def check_upload(self, token: str, upload: UUID) -> None:
        """Raises `TicketWrong`."""
        self._check(token, self.upload(upload))

    def part(self, upload: UUID, number: int, size: int, *, digests: str = "") -> str:
        """For sending one part of one size, and of these digests alone, where there are any."""
        return self._mac(f"part {upload} {number} {size} {digests}")

    def check_part(self, token: str, upload: UUID, number: int, size: int, *, digests: str = "") -> None:
        """Raises `TicketWrong`."""
        self._check(token, self.part(upload, number, size, digests=digests))

    def content(self, ticket: ContentTicket) -> str:
        """For reading one object on behalf of somebody."""
        return jwt.encode({**msgspec.to_builtins(ticket), "aud": AUDIENCE}, self._content_key, algorithm=ALGORITHM)

    def read_content(self, token: str, *, pid: str, version: int | None) -> ContentTicket:
        """Raises `TicketWrong` for anything but a ticket of ours for this content that has not ended."""
        try:
            body = jwt.decode(
                token,
                self._content_key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["sub", "exp", "aud"], "verify_exp": False},
            )
            ticket = msgspec.convert(body, ContentTicket)
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise TicketWrong("the token of this URL is not valid; ask for a fresh URL") from error
        if ticket.pid != pid or version not in {None, ticket.version}:
            raise TicketWrong("the token of this URL is not valid for this content; ask for a fresh URL")
        if ticket.exp <= self._clock().timestamp():
            raise TicketWrong("this URL has expired; ask for a fresh one")
        return ticket

    def _mac(self, text: str) -> str:
        return urlsafe_b64encode(hmac.digest(self._upload_key, text.encode(), sha256)).rstrip(b"=").decode()

    def _check(self, given: str, right: str) -> None:
        if not hmac.compare_digest(given.encode(), right.encode()):
            raise TicketWrong("the token of this URL is not valid for it; ask for a fresh URL")
