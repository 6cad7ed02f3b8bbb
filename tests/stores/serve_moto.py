"""A moto server in a process of its own: prints its port, and ends when its standard input does."""

import logging
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec

import google_crc32c
from moto.server import ThreadedMotoServer

# Without the package `crc32c`, moto passes CRC-32 off as CRC-32C.
sys.modules["crc32c"] = module_from_spec(ModuleSpec("crc32c", None))
sys.modules["crc32c"].crc32c = google_crc32c.value  # type: ignore[attr-defined]
logging.getLogger("werkzeug").setLevel(logging.WARNING)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
sys.stdout.flush()
sys.stdin.read()
server.stop()
