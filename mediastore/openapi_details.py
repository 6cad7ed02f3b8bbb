"""What the document says of headers, bytes and errors, and of the operations that are unlike the others."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from mediastore.catalog.interchange_schemas import ImportLine
from mediastore.catalog.pids import LONGEST
from mediastore.catalog.schemas import Media, MediaCreate, ResolvedMany
from mediastore.openapi_schemas import Json, without_null
from mediastore.registering.schemas import Registration
from mediastore.transfers.form import LISTS
from mediastore.transfers.schemas import Upload

REQUEST_ID = "X-Request-ID"
SHA256 = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:"
BYTES: Json = {"type": "string", "format": "binary"}
"""JSON Schema has no word for a body that is bytes; tools know this one, which shows a button to choose a file."""


class Detail(Struct, frozen=True, kw_only=True):
    """What an operation's route decorator can't say."""

    public: bool = False
    """Whether public records are for those who are not logged in, too."""
    asks: tuple[str, ...] = ()
    """Headers of the request, from `ASKED`, that no parameter of the handler is named for."""
    takes_bytes: bool = False
    form: type | Json | None = None
    """The struct whose fields a form may have, beside the file, or the form's own schema."""
    gives_bytes: bool = False
    takes_lines: type | None = None
    """What each line of an NDJSON body is."""
    answers: Mapping[int, tuple[str, ...]] = MappingProxyType({})
    """Every status that is no refusal, each with its headers, from `HEADERS`. Empty: the handler's status without any."""
    kinds: Mapping[int, type] = MappingProxyType({})
    """The type of the JSON of a status, where it is not the same of all."""
    said: Mapping[int, str] = MappingProxyType({})
    """What a status means, where its name does not tell."""

    def __deepcopy__(self, _: object) -> "Detail":
        # Litestar copies what a route says of itself; this never changes.
        return self


RECORD_WRITTEN = ("ETag", "Location")
CONTENT = (
    "ETag",
    "Last-Modified",
    "Repr-Digest",
    "Content-Length",
    "Content-Disposition",
    "Accept-Ranges",
    "Cache-Control",
)
DIGESTS = ("Content-MD5", "Content-Digest", "Repr-Digest")
DOWNLOAD = Detail(
    public=True,
    asks=("Range", "If-Range", "If-None-Match", "If-Modified-Since"),
    gives_bytes=True,
    answers={200: CONTENT, 206: (*CONTENT, "Content-Range"), 304: CONTENT[:3], 307: ("Location",)},
    said={
        200: "The bytes, with the media type that they were uploaded with",
        206: "The bytes of the range",
        304: "The bytes are those that you have",
        307: "With `direct=true`: a presigned URL of the store, in Location",
    },
)

DETAILS: Mapping[str, Detail] = {
    "content_download": DOWNLOAD,
    "content_download_head": Detail(
        public=True,
        asks=("If-None-Match", "If-Modified-Since"),
        answers={200: CONTENT, 304: CONTENT[:3], 307: ("Location",)},
        said=DOWNLOAD.said,
    ),
    "content_upload": Detail(
        asks=("If-Match", "If-None-Match", *DIGESTS),
        takes_bytes=True,
        answers={200: RECORD_WRITTEN, 201: RECORD_WRITTEN},
        said={200: "The record was there and has this content now", 201: "The record was made, with this content"},
    ),
    "content_upload_form": Detail(
        asks=("If-Match", "If-None-Match"),
        form=MediaCreate,
        answers={200: RECORD_WRITTEN, 201: RECORD_WRITTEN},
        said={200: "The record was there and has this content now", 201: "The record was made, with this content"},
    ),
    "fixity_check": Detail(
        answers={200: (), 202: ()}, said={200: "Read: how it went", 202: "A job reads it; ask `GET /versions/{pid}` later"}
    ),
    "health_ready": Detail(
        answers={200: (), 503: ()}, said={200: "Ready, even if a store does not answer", 503: "No request can be served"}
    ),
    "media_batch": Detail(public=True),
    "media_change": Detail(answers={200: ("ETag",)}),
    "media_export_records": Detail(public=True, said={200: "A record a line; cut short, it has no end of its own"}),
    "media_import_records": Detail(
        takes_lines=ImportLine, said={200: "A line for each record that was not taken, then the counts"}
    ),
    "media_create": Detail(answers={201: RECORD_WRITTEN}),
    "media_list": Detail(public=True),
    "media_search": Detail(public=True),
    "media_read": Detail(
        public=True, answers={200: ("ETag", "Cache-Control"), 304: ("ETag",)}, said={304: "The record is the one that you have"}
    ),
    "preview_read": Detail(public=True),
    "resolve_read": Detail(
        public=True,
        answers={200: ("ETag", "Content-Location", "Cache-Control"), 300: ()},
        kinds={200: Media, 300: ResolvedMany},
        said={200: "The record", 300: "Several records have this identifier"},
    ),
    "stores_register": Detail(
        answers={201: ("Location",), 202: ("Location",)},
        kinds={201: Media, 202: Registration},
        said={201: "Verified: the record, with its content", 202: "A job reads the bytes; Location tells how far it is"},
    ),
    "stores_scan": Detail(answers={202: ("Location",)}, said={202: "A job does it; Location tells how far it is"}),
    "stores_sweep": Detail(
        answers={200: ("Location",), 202: ("Location",)},
        said={200: "It has ended: its report", 202: "It runs; Location tells how far it is"},
    ),
    "stores_decide": Detail(
        answers={200: (), 202: ()},
        said={200: "Done", 202: "A job reads the bytes; `GET /stores/{name}/findings` tells how far it is"},
    ),
    "stores_reconcile": Detail(
        answers={200: (), 202: ()},
        said={200: "The report", 202: "It waits or runs; `GET /stores/{name}/reconciliations` tells how far it is"},
    ),
    "uploads_begin": Detail(asks=("If-Match", "If-None-Match"), answers={201: ("Location", "Cache-Control")}),
    "uploads_show": Detail(public=True, answers={200: ("Cache-Control",)}),
    "uploads_fresh_parts": Detail(public=True, answers={200: ("Cache-Control",)}),
    "uploads_complete": Detail(
        public=True,
        answers={200: ("Location",), 202: ("Location", "Retry-After", "Cache-Control")},
        kinds={200: Media, 202: Upload},
        said={200: "Verified: the record, with its new content", 202: "A job verifies the bytes; Location tells how far it is"},
    ),
    "uploads_cancel": Detail(public=True),
    "uploads_send_part": Detail(
        asks=DIGESTS, takes_bytes=True, answers={200: ("ETag",)}, said={200: "The part is there; ETag names it"}
    ),
    "uploads_send_form": Detail(
        form={
            "type": "object",
            "properties": {
                "token": {"type": "string", "maxLength": 200, "description": "From the fields that the upload gave"},
                "file": BYTES | {"description": "The bytes; the last part of the form"},
            },
            "required": ["token", "file"],
            "additionalProperties": False,
        },
        answers={200: ("ETag",)},
        said={200: "The content is there; complete the upload"},
    ),
    "versions_read": Detail(public=True),
}

PATH: Mapping[str, Json] = {
    "pid": {
        "description": "The record's PID. Slashes stand as they are or as `%2F`; all else is percent-encoded as usual.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[^/]+(/[^/]+)*$"},
        "examples": {
            "plain": {"value": "IFCB101_D20240101T000000"},
            "doi": {"value": "doi:10.1234/abcd"},
        },
    },
}
"""Path parameters that Litestar can't know more of than their name."""


ASKED: Mapping[str, str] = {
    "If-Match": 'Go on only if this is the ETag of the content that is there; else 412. For example `"1-17"`',
    "If-None-Match": 'An ETag, or `*` for any: if that is there, a download is 304 and an upload 412. For example `"1-17"`',
    "If-Modified-Since": "304 if the bytes are not younger than this. For example `Thu, 01 Jan 2026 00:00:00 GMT`",
    "If-Range": "The range counts only if this is still the ETag, or the time of the last change",
    "Range": "One range of bytes; several are answered with the whole. For example `bytes=0-1023`",
    "Content-MD5": "MD5 of the bytes in base64 (RFC 1864); 422 if others arrive. For example `XrY7u+Ae7tCTyyK7j1rNww==`",
    "Content-Digest": "Digests of the bytes (RFC 9530) by `md5`, `sha`, `sha-256`, `sha-512` or `crc32c`; 422 if others arrive. "
    f"For example `{SHA256}`",
    "Repr-Digest": "The same as Content-Digest here",
}
"""Headers that requests may have. Their examples are in the text: pages would send those that stand beside it."""


def _text(description: str, example: str) -> Json:
    return {"description": description, "schema": {"type": "string"}, "example": example}


HEADERS: Mapping[str, Json] = {
    "Accept-Ranges": _text("Ranges are served", "bytes"),
    "Cache-Control": _text(
        "Who may keep the answer; it has to be checked with its ETag before it is used again", "private, no-cache"
    ),
    "Content-Disposition": _text("The file's name, and whether a browser may show it", 'attachment; filename="a.csv"'),
    "Content-Location": _text("Where the record is", "/api/v1/media/IFCB101_D20240101T000000"),
    "Content-Length": {"description": "Bytes that follow", "schema": {"type": "integer", "minimum": 0}, "example": 1234},
    "Content-Range": _text("Which bytes these are, or how many there are", "bytes 0-1023/1234"),
    "ETag": _text(
        "Of the record, changes with its revision; of content, with its bytes. Goes back as If-Match or If-None-Match", '"3"'
    ),
    "Last-Modified": _text("When the bytes were stored", "Thu, 01 Jan 2026 00:00:00 GMT"),
    "Link": _text("Where the next page is (RFC 8288)", '<?limit=100&cursor=WzEs>; rel="next"'),
    "Location": _text("Where it is", "/api/v1/media/IFCB101_D20240101T000000"),
    "Repr-Digest": _text(
        "Digests of the whole content that the server or the store computed (RFC 9530)",
        SHA256,
    ),
    "Retry-After": {"description": "Seconds to wait before another try", "schema": {"type": "integer"}, "example": 5},
    "WWW-Authenticate": _text("How to log in", 'Bearer realm="mediastore"'),
    REQUEST_ID: _text("The request's name in our log; yours, if it had one", "0196f2c04bd97d0d9c1e9e1f6f0a3a52"),
}
"""Headers that answers may have."""

ERRORS: Mapping[int | None, str] = {
    400: "A header, a query parameter or the path makes no sense",
    401: "Not logged in, or the credentials are wrong",
    403: "Not allowed",
    404: "Not there, or not for you to know of",
    408: "The body stopped coming",
    409: "It contradicts what is there",
    410: "It was there, and is gone for good",
    412: "If-Match or If-None-Match does not hold; nothing was changed",
    413: "Too large",
    415: "The body is encoded or of a type that is not for this call",
    416: "None of the bytes of the range is there",
    422: "The request was understood, and something in it is not right",
    424: "Another item of the atomic batch failed",
    429: "Too many tries",
    503: "The database or the store is away for now",
    507: "The store is full",
    None: "Any other refusal, or that of a part that is away for now (503); an error of the server's own is 500",
}
"""What a status means; None is any other."""

ON_ERRORS: Mapping[int | None, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

DESCRIPTIONS: Mapping[type, str] = {Media: "A record."}
"""Where a struct's docstring speaks to those who write the code."""


USUAL_FIELDS = ("pid", "store", "access", "tags", "metadata")


def form(properties: Json) -> Json:
    """The schema of a form that has these fields as text, then the file.

    Swagger UI fills in every property and sends it, so each has an example that means nothing. Of more than eight it loses the
    order, and the file has to be last: the unusual fields are patterns, which it leaves alone.
    """
    fields = {name: _field(name, schema) for name, schema in properties.items()}
    rest = {f"^{name}$": fields[name] for name in fields if name not in USUAL_FIELDS}
    rest["^media_type$"] = {"type": "string", "maxLength": LONGEST, "description": "Instead of the file's own"}
    shown = {name: fields[name] for name in USUAL_FIELDS}
    shown["pid"] = {"type": "string", "maxLength": LONGEST, "description": "Left out or empty: one is minted", "examples": [""]}
    shown["store"] |= {
        "description": "Where the bytes go; default: the record's, or the server's default store",
        "examples": [""],
    }
    shown["metadata"] |= {"examples": [{}]}
    shown["filename"] = {"type": "string", "maxLength": LONGEST, "description": "Instead of the file's own", "examples": [""]}
    shown["checksums"] = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "Digests in hex that the file has to have, by algorithm: md5, sha1, sha256, sha512, crc32c",
        "examples": [{}],
    }
    shown["file"] = BYTES | {"description": "The bytes; the last part of the form"}
    return {
        "type": "object",
        "properties": shown,
        "patternProperties": rest,
        "required": ["file"],
        "additionalProperties": False,
    }


def _field(name: str, schema: Json) -> Json:
    if name in LISTS:
        return {"type": "string", "description": "With commas between, or a JSON list", "examples": [""]}
    return without_null(schema)
