"""A moto server in a process of its own: prints its port, and ends when its standard input does."""

import logging
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import Any

import google_crc32c
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

# Without the package `crc32c`, moto passes CRC-32 off as CRC-32C.
sys.modules["crc32c"] = module_from_spec(ModuleSpec("crc32c", None))
sys.modules["crc32c"].crc32c = google_crc32c.value  # type: ignore[attr-defined]  # a module made here has what we give it


def one_at_a_time(handler: Callable[..., Any], turn: threading.Lock) -> Callable[..., Any]:
    @wraps(handler)
    def handle_in_turn(*arguments: Any) -> Any:
        with turn:
            return handler(*arguments)

    return handle_in_turn


# moto looks whether a key is taken and takes it in two steps, between which another thread of it can run.
turn = threading.Lock()
for name in ("_key_response_put", "_key_response_post"):
    setattr(S3Response, name, one_at_a_time(getattr(S3Response, name), turn))

logging.getLogger("werkzeug").setLevel(logging.WARNING)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
sys.stdout.flush()
sys.stdin.read()
server.stop()
