"""For Piccolo's own command: `MEDIASTORE_DATABASE_URL=… .venv/bin/piccolo …`."""

import os

from piccolo.engine.postgres import PostgresEngine

from mediastore.database import APP_REGISTRY

DB = PostgresEngine(config={"dsn": os.environ["MEDIASTORE_DATABASE_URL"]})

__all__ = ["APP_REGISTRY", "DB"]
