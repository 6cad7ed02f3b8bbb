"""Digests that a client claims, and digests that we tell: Content-MD5 (RFC 1864), Content-Digest and Repr-Digest (RFC 9530)."""

from base64 import b64encode
from binascii import unhexlify
from collections.abc import Mapping, Sequence

import http_sf

from mediastore.transfers.errors import DigestInvalid
from stores.digests import parse_digest
from stores.errors import StoreError

NAMES = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512", "crc32c": "crc32c"}
"""Names in the IANA registry of hash algorithms for HTTP digest fields, and ours."""


def claimed_digests(headers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Lower-case hex by algorithm, of the lines of the three headers. Raises `DigestInvalid`, also for two that contradict.

    Unknown algorithms are passed over, as RFC 9530 asks, unless there is none that we know: then nothing would be checked, and
    the client would believe that it was.
    """
    claims: dict[str, str] = {}
    for md5 in headers.get("content-md5", ()):
        _add(claims, "md5", _hex("md5", md5, header="Content-MD5"), header="Content-MD5")
    for header in ("Content-Digest", "Repr-Digest"):
        # Several lines of a structured field are one value, but each is checked: a later one must not hide an earlier one.
        for text in headers.get(header.lower(), ()):
            for algorithm, digest in _dictionary(text, header=header).items():
                _add(claims, algorithm, digest, header=header)
    return claims


def _dictionary(text: str, *, header: str) -> dict[str, str]:
    try:
        parsed = http_sf.parse(text.encode("latin-1"), tltype="dictionary")
    except http_sf.StructuredFieldError as error:
        raise DigestInvalid(f"{header}: {text!r} is no dictionary of digests, such as sha-256=:base64:") from error
    items: Mapping[str, object] = parsed if isinstance(parsed, dict) else {}
    found = {}
    for name, item in items.items():
        value = item[0] if isinstance(item, tuple) else item
        if not isinstance(value, bytes):
            raise DigestInvalid(f"{header}: the value of {name} has to be bytes between colons, such as {name}=:base64:")
        if name in NAMES:
            found[NAMES[name]] = _hex(NAMES[name], value.hex(), header=header)
    if not found:
        raise DigestInvalid(f"{header}: none of the algorithms in {text!r} is known here; known are {', '.join(NAMES)}")
    return found


def _hex(algorithm: str, text: str, *, header: str) -> str:
    try:
        return parse_digest(algorithm, text)
    except StoreError as error:
        raise DigestInvalid(f"{header}: {error.message}") from error


def _add(claims: dict[str, str], algorithm: str, digest: str, *, header: str) -> None:
    if claims.setdefault(algorithm, digest) != digest:
        raise DigestInvalid(f"{header} contradicts another header about {algorithm}", algorithm=algorithm)


def repr_digest(checksums: Mapping[str, str]) -> str:
    """The value of Repr-Digest for these digests, hex by algorithm."""
    known = ((name, checksums[algorithm]) for name, algorithm in NAMES.items() if algorithm in checksums)
    return ", ".join(f"{name}=:{b64encode(unhexlify(digest)).decode()}:" for name, digest in known)
