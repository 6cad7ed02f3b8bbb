"""Structured logs: one JSON object a line, or coloured lines on a terminal. Secrets are masked in whatever passes."""

import re
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from mediastore.settings import Settings

MASK = "***"
SECRETS = re.compile(
    r"""(?x)
      eyJ[\w-]+\.[\w-]+\.[\w-]*                                    # JSON Web Tokens
    | ms_[0-9a-f]{32}_[\w-]+                                       # API keys
    | (?<=://)[^\s/]+(?=@)                                         # user:password in a URL
    | (?<=[?&])(?:token|key|jwt|X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature)=[^\s&"']+
    """
)


def configure_logging(settings: Settings) -> None:
    """Set up structlog for this process."""
    console = _on_console(settings)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.dev.ConsoleRenderer() if console else _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if console else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )


def access_log(settings: Settings) -> Callable[..., None] | None:
    """Writes the line about a request; None where there is to be none. Nothing in it can be a secret, so nothing is masked."""
    if not settings.access_log or settings.log_level not in {"debug", "info"}:
        return None
    if _on_console(settings):
        logger = structlog.get_logger("mediastore.http")
        return lambda **facts: logger.info("request", **facts)
    write = structlog.BytesLogger(sys.stderr.buffer).msg

    def log(**facts: object) -> None:
        write(msgspec.json.encode({"event": "request", "level": "info", **facts, "timestamp": datetime.now(UTC)}))

    return log


def _on_console(settings: Settings) -> bool:
    return settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())


def mask_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what looks like a secret in every text of the event, however deep."""
    for key, value in event.items():
        event[key] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        # Every kind of secret has one of these; most texts of most events have none.
        return SECRETS.sub(MASK, value) if "=" in value or "." in value or "_" in value or "@" in value else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_masked(key): _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return _masked(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _render(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)
