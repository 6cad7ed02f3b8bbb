"""Where a client reaches this server, for URLs that lead back to it."""

from typing import Any

from litestar import Request

from mediastore.transfers.requests import Site

API = "/api/v1"


class Sites:
    """The public URL where it is set; else what the client itself wrote into its request, which is told to nobody else."""

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url.rstrip("/") if public_url else None

    def of(self, request: Request[Any, Any, Any]) -> Site:
        if self._public_url is not None:
            return Site(api_url=self._public_url + API)
        scheme, host = request.scope["scheme"], request.headers.get("host", "localhost")
        return Site(api_url=f"{scheme}://{host}{API}")
