"""Which S3 endpoints this server may talk to: it must not be sent to its own machine's or its cloud's inside (SSRF)."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from mediastore.placement.errors import EndpointRefused

METADATA_SERVICES = frozenset({"fd00:ec2::254", "100.100.100.200"})
"""Those of clouds that are not link-local: of AWS by IPv6, of Alibaba."""


async def check_endpoint(url: str | None, *, allow_private: bool) -> None:
    """Raise `EndpointRefused` unless every address behind the URL is fit.

    Link-local (the metadata services of clouds), multicast and unspecified addresses never are; loopback and private ones by
    setting only. Names are resolved, and resolved again whenever a store is opened, because they may come to point elsewhere.
    """
    if url is None:
        return
    if "@" in url:
        raise EndpointRefused("endpoint_url must not hold credentials; give them as access_key and secret_key")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise EndpointRefused(f"endpoint_url {url!r} is not a URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise EndpointRefused(f"endpoint_url {url!r} has to read like https://s3.example.org or http://host:9000")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise EndpointRefused(f"the host of endpoint_url {url!r} can't be resolved") from error
    for *_, address in found:
        reason = refusal(ip_address(str(address[0]).partition("%")[0]), allow_private=allow_private)
        if reason:
            raise EndpointRefused(f"endpoint_url {url!r} leads to {address[0]}, {reason}")


def service_of(url: str | None) -> str:
    """What tells one S3 service from another: scheme, host and port, whether or not the port is written out."""
    if url is None:
        return "aws"
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"


def refusal(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str:
    """Why an address is not fit; empty when it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if str(address) in METADATA_SERVICES or address.is_link_local or address.is_multicast or address.is_unspecified:
        return "an address that S3 never has"
    if not allow_private and not address.is_global:
        return "which is private; set MEDIASTORE_ALLOW_PRIVATE_ENDPOINTS=yes if your S3 service is there"
    return ""
