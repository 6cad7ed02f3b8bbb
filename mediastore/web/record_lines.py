"""What people copy from the page of a record into a terminal, a notebook, a letter."""

from shlex import quote

from msgspec import Struct

from mediastore.catalog.schemas import Media
from mediastore.http.paths import quoted
from mediastore.transfers.requests import Site
from mediastore.web.told import record_url


class Lines(Struct, frozen=True, kw_only=True):
    link: str
    content: str
    """The path of its bytes, for links in the page itself."""
    curl: str
    python: str
    command: str


def lines_of(media: Media, *, site: Site, public: bool) -> Lines:
    """Each does what it says when it is pasted, whatever is in the names."""
    server = site.api_url.removesuffix("/api/v1")
    content = f"{site.api_url}/content/{quoted(media.pid)}"
    login = "" if public else '-H "Authorization: Bearer $MEDIASTORE_TOKEN" '
    return Lines(
        link=f"{server}{record_url(media.pid)}",
        content=content.removeprefix(server),
        curl=f"curl -fL {login}-o {quote(file_name(media))} {quote(content)}",
        python=f"from mediastore.client.client import Client\n\nwith Client({server!r}) as store:\n    store.get({media.pid!r})",
        command=f"MEDIASTORE_URL={quote(server)} mediastore get -- {quote(media.pid)}",
    )


def file_name(media: Media) -> str:
    """A name for the file that is none of another folder's, nor an option."""
    name = (media.content and media.content.filename) or media.pid
    return name.replace("\\", "/").rpartition("/")[2].lstrip("-") or "content"
