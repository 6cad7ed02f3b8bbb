"""Is it alive, is it ready, how is it doing."""

from typing import Any

from litestar import get
from litestar.response import Response
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from mediastore.database import Database, DatabaseError
from mediastore.errors import MediastoreError
from mediastore.http.provided import Provided
from mediastore.jobs.metrics import JobMetrics
from mediastore.placement.registry import Registry
from mediastore.retention import sweep_queries as sweeps
from mediastore.retention.upkeep_metrics import UpkeepMetrics
from mediastore.transfers import queries as transfers


class Live(Struct, frozen=True, kw_only=True):
    status: str = "ok"


class Ready(Struct, frozen=True, kw_only=True):
    """`ok`; `degraded` when a store does not answer or is not as it should be, or its sweeps are stopped by the brake;
    `unavailable` (with 503) when the database or its schema is not there.
    """

    status: str
    database: str
    migrations: str
    stores: dict[str, str]
    brakes: dict[str, str]
    """Why sweeps of a store wait for an administrator's word."""


class Health:
    def __init__(
        self, database: Database, *, registry: Registry, jobs: JobMetrics, upkeep: UpkeepMetrics, metrics: CollectorRegistry
    ) -> None:
        self._database = database
        self._registry = registry
        self._jobs = jobs
        self._upkeep = upkeep
        self._metrics = metrics
        self._oldest = Gauge(
            "mediastore_oldest_nonfinal_seconds",
            "For which the upload or the doomed object that has waited longest to end has waited",
            registry=metrics,
        )
        self._braked = Gauge(
            "mediastore_sweep_braked", "Whether sweeps wait for an administrator's word", ["store"], registry=metrics
        )
        self._removed = Gauge("mediastore_swept_objects", "Objects that sweeps removed, since ever", ["store"], registry=metrics)
        self._freed = Gauge("mediastore_swept_bytes", "Bytes that sweeps freed, since ever", ["store"], registry=metrics)
        metrics.register(jobs)
        metrics.register(upkeep)

    async def ready(self) -> Ready:
        """Ask everything that requests need."""
        try:
            migrated = await self._database.migrated()
            brakes = await self._brakes() if migrated else {}
            stores = await self._stores() if migrated else {}
        except MediastoreError as error:
            return Ready(status="unavailable", database=error.message, migrations="unknown", stores={}, brakes={})
        if not migrated:
            return Ready(
                status="unavailable", database="ok", migrations="missing: run `mediastore migrate`", stores={}, brakes={}
            )
        fine = all(answer == "ok" for answer in stores.values()) and not brakes
        return Ready(status="ok" if fine else "degraded", database="ok", migrations="ok", stores=stores, brakes=brakes)

    async def _brakes(self) -> dict[str, str]:
        async with self._database.connection() as connection:
            return await sweeps.braked(connection)

    async def _stores(self) -> dict[str, str]:
        """What each store answers, and where that is well, what its upkeep has found."""
        answers = await self._registry.health()
        async with self._database.connection() as connection:
            problems = await self._upkeep.problems(connection)
        return {name: problems.get(name, answer) if answer == "ok" else answer for name, answer in answers.items()}

    async def metrics(self) -> bytes:
        """In Prometheus's text format."""
        try:
            async with self._database.connection() as connection:
                self._oldest.set(await transfers.oldest_nonfinal_s(connection))
                braked = await sweeps.braked(connection)
                for swept in await sweeps.totals(connection):
                    self._braked.labels(swept.store).set(swept.store in braked)
                    self._removed.labels(swept.store).set(swept.objects)
                    self._freed.labels(swept.store).set(swept.bytes)
                await self._jobs.refresh(connection)
                await self._upkeep.refresh(connection)
        except DatabaseError:
            self._oldest.set(float("nan"))
            self._jobs.forget()
            self._upkeep.forget()
        return generate_latest(self._metrics)


@get("/health/live", tags=["Operations"], security=[{}], summary="The process answers")
async def live() -> Live:
    return Live()


@get("/health/ready", tags=["Operations"], security=[{}], summary="Database, migrations and stores")
async def ready(health: Provided[Health]) -> Response[Ready]:
    state = await health.ready()
    return Response(state, status_code=503 if state.status == "unavailable" else 200, headers={"Cache-Control": "no-store"})


@get("/metrics", tags=["Operations"], security=[{}], summary="Metrics for Prometheus", media_type="text/plain")
async def metrics(health: Provided[Health]) -> Response[Any]:
    return Response(await health.metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})
