"""What people copy from the page of a record into a terminal, a notebook, a letter."""

from shlex import quote

from msgspec import Struct

from mediastore.catalog.schemas import Media
from mediastore.http.paths import quoted
from mediastore.transfers.requests import Site
from mediastore.web.told import record_url


class Lines(Struct, frozen=True, kw_only=True):
    """By what it is for. Of a record without content the lines send some, in place of a file of that name."""

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
    begin = f"from mediastore.client.client import Client\n\nwith Client({server!r}) as store:\n    store."
    login = '-H "Authorization: Bearer $MEDIASTORE_TOKEN" '
    command = f"MEDIASTORE_URL={quote(server)} mediastore "
    if media.content is None:
        curl = f"curl -f {login}-T FILE {quote(content)}"
        python, command = f'{begin}put("FILE", {media.pid!r})', f"{command}put FILE --pid {quote(media.pid)}"
    else:
        curl = f"curl -fL {'' if public else login}-o {quote(file_name(media))} {quote(content)}"
        python, command = f"{begin}get({media.pid!r})", f"{command}get -- {quote(media.pid)}"
    path = content.removeprefix(server)
    return Lines(link=f"{server}{record_url(media.pid)}", content=path, curl=curl, python=python, command=command)


def file_name(media: Media) -> str:
    """A name for the file that is none of another folder's, no option, and what it looks like."""
    name = (media.content and media.content.filename) or media.pid
    seen = "".join(letter for letter in name if letter.isprintable())
    return seen.replace("\\", "/").rpartition("/")[2].lstrip("-") or "content"
