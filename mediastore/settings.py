"""Every setting, in one typed struct, read from the environment and a `.env` file; the environment wins.

The name of a setting is `MEDIASTORE_` and the field's name in capitals. `docs/settings.md` lists them all.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, get_origin, get_type_hints

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from mediastore.errors import SettingInvalid

PREFIX = "MEDIASTORE_"

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=315_360_000)]
"""Ten years at most: beyond that a typing error is more likely."""
PathPrefix = Annotated[str, Meta(max_length=100, pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)$")]
"""Where a face of this server begins: `/`, or a path without a slash at its end."""
PidPrefix = Annotated[str, Meta(max_length=200, pattern=r"^(?![/.\s])(?!.*//)(?!.*/\.{1,2}/)")]
"""What PIDs begin with that this server makes."""
Dialect = Literal["amplify", "staging", "bitstore"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the one who runs the server can choose. Defaults suit a first try on one machine."""

    home: Path = Path("data")
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    workers: Count = 1
    public_url: str | None = None
    admin_password: str | None = None
    secret_key: str | None = None
    filesystem_roots: tuple[Path, ...] = ()
    allow_private_endpoints: bool = False
    trusted_proxies: tuple[str, ...] = ()

    default_store: str = "local"
    pid_prefix: PidPrefix = ""
    token_ttl_s: Seconds = 3600
    console: bool = True
    session_ttl_s: Seconds = 43_200
    issuers_file: Path | None = None
    identity_cache_s: Annotated[float, Meta(ge=0, le=3600)] = 1

    database_pool_size: Annotated[int, Meta(ge=2)] = 10
    database_wait_s: Seconds = 5
    query_timeout_s: Seconds = 15
    search_timeout_s: Seconds = 5
    count_timeout_s: Seconds = 1

    max_json_bytes: Count = 16 * 1024 * 1024
    max_metadata_depth: Count = 64
    max_batch_items: Count = 10_000
    max_answer_bytes: Count = 64 * 1024 * 1024
    max_upload_bytes: Count = 5 * 1024**4
    body_idle_timeout_s: Seconds = 60
    presigned_url_ttl_s: Annotated[int, Meta(ge=1, le=604800)] = 900

    worker_inside: bool = True
    worker_concurrency: Annotated[int, Meta(ge=2, le=1000)] = 8
    worker_grace_s: Annotated[float, Meta(ge=0, le=86400)] = 20
    worker_lost_s: Annotated[float, Meta(ge=1, le=3600)] = 20
    job_log_ttl_s: Seconds = 604800

    upload_idle_s: Seconds = 86_400
    upload_grace_s: Annotated[float, Meta(ge=0, le=315_360_000)] = 3600
    verify_inline_bytes: Annotated[int, Meta(ge=0)] = 16 * 1024 * 1024
    sweep_lease_s: Annotated[float, Meta(ge=1, le=3600)] = 60
    audit_access: bool = True
    quarantine_s: Annotated[float, Meta(ge=0, le=315_360_000)] = 604_800
    cors_origins: tuple[str, ...] = ()
    upload_stale_s: Annotated[float, Meta(ge=1, le=315_360_000)] = 120
    cleanup_interval_s: Seconds = 30
    login_attempts: Count = 5

    dialects: tuple[Dialect, ...] = ()
    amplify_prefix: PathPrefix = "/amplify"
    amplify_owners_only: bool = False
    amplify_max_listed: Count = 10_000
    amplify_max_aside_bytes: Count = 16 * 1024**3
    staging_prefix: PathPrefix = "/staging"
    staging_store: str = "staging"
    staging_ttl_s: Annotated[int, Meta(ge=60, le=315_360_000)] = 2_592_000
    bitstore_prefix: PathPrefix = "/rawstore"
    bitstore_store: str | None = None
    bitstore_key_pattern: Annotated[str, Meta(max_length=500)] = "{owner}/{dataset}/{md5_hex}/{path}"
    bitstore_pid_prefix: PidPrefix = "rawstore/"
    bitstore_object_acls: bool = True
    bitstore_max_files: Count = 1000

    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = True

    def __repr__(self) -> str:
        return f"Settings(home={str(self.home)!r}, host={self.host!r}, port={self.port}, workers={self.workers}, ...)"

    @property
    def embedded(self) -> bool:
        """Whether the server brings its own PostgreSQL."""
        return self.database_url is None

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders below which filesystem stores may lie, absolute."""
        return tuple(root.expanduser().resolve() for root in self.filesystem_roots) or (self.home.resolve() / "stores",)

    @property
    def proxy_networks(self) -> list[IPv4Network | IPv6Network]:
        """The proxies whose X-Forwarded-For is believed. Raises `SettingInvalid`."""
        try:
            return [ip_network(proxy, strict=False) for proxy in self.trusted_proxies]
        except ValueError as error:
            given = ",".join(self.trusted_proxies)
            raise SettingInvalid(
                f"MEDIASTORE_TRUSTED_PROXIES: {given!r}: {error}; write addresses or networks, with commas"
            ) from error

    @property
    def url(self) -> str:
        """Where people reach this server, without a trailing slash."""
        host = "localhost" if self.host in {"0.0.0.0", "::", "127.0.0.1", "::1"} else self.host  # noqa: S104 - compared, not bound
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")


def load_settings(environment: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Settings:
    """Read the settings. Raises `SettingInvalid` for a value that does not fit, and for a `MEDIASTORE_` name that is not ours."""
    given = {**dotenv_values(env_file or Path(".env")), **(os.environ if environment is None else environment)}
    hints = get_type_hints(Settings, include_extras=True)
    values: dict[str, object] = {}
    for name, text in given.items():
        if not name.startswith(PREFIX) or text is None:
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in CLIENT_SETTINGS or field.startswith("test_"):
            continue
        if field not in hints:
            raise SettingInvalid(f"{name} is not a setting; docs/settings.md lists them all", setting=name)
        if text.strip():
            values[field] = _parse(text.strip(), hints[field], name=name)
    settings = Settings(**values)  # type: ignore[arg-type]  # each value was converted to its field's type
    if not settings.pid_prefix.isprintable():
        raise SettingInvalid("MEDIASTORE_PID_PREFIX: a PID holds printable characters only", setting="MEDIASTORE_PID_PREFIX")
    _ = settings.proxy_networks
    return settings


CLIENT_SETTINGS = frozenset({"url", "api_key", "token", "profile"})
"""Read by the client, and left alone by the server: both may share one environment."""


def _parse(text: str, kind: object, *, name: str) -> object:
    value: object = text
    if get_origin(kind) is tuple:
        value = [part.strip() for part in text.split(",") if part.strip()]
    if kind == tuple[Path, ...]:
        return tuple(Path(part.strip()) for part in text.split(",") if part.strip())
    if kind in {Path, Path | None}:
        return Path(text)
    if kind is bool:
        value = {"yes": True, "on": True, "no": False, "off": False}.get(text.lower(), text)
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        shown = "the value given" if field_is_secret(name) else repr(text)
        raise SettingInvalid(f"{name}: {shown} does not fit: {error}", setting=name) from error


def field_is_secret(name: str) -> bool:
    """Whether a setting's value must not be shown."""
    return name.endswith(("_PASSWORD", "_KEY", "_URL"))
