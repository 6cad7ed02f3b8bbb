"""What Granian's worker processes load."""

import ctypes
import gc
import os
import signal
import sys

from mediastore.app import Application, create_app
from mediastore.logging import configure_logging
from mediastore.settings import load_settings

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def app() -> Application:
    """The application of this worker, by the settings in the environment."""
    end_with_parent()
    settings = load_settings()
    configure_logging(settings)
    app = create_app(settings)
    # What is there now stays for as long as the worker, so the collector need not look through it again and again; and a batch
    # makes thousands of objects that are no rubbish yet.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    return app


def end_with_parent() -> None:
    """Make the kernel stop this worker when the server's main process dies, by `kill -9` too: else it would keep the port."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGTERM)
