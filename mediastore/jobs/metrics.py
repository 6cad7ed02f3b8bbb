"""How the queue fares, in numbers of the database: the same from whichever server is asked, and whoever does the jobs."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mediastore.database import Connection
from mediastore.jobs import queries
from mediastore.jobs.queries import Depth


class JobMetrics(Collector):
    """Shows what `refresh` has read. `jobs`: the kinds of jobs that are counted."""

    def __init__(self, jobs: Sequence[str]) -> None:
        self._jobs = jobs
        self._depths: list[Depth] = []

    async def refresh(self, connection: Connection) -> None:
        self._depths = await queries.depths(connection, self._jobs)

    def forget(self) -> None:
        """Say nothing rather than what was."""
        self._depths = []

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("mediastore_jobs", "Jobs that are not done", labels=["job", "status"])
        oldest = GaugeMetricFamily("mediastore_job_oldest_seconds", "Age of the oldest job that waits or runs", labels=["job"])
        failures = CounterMetricFamily("mediastore_job_failures", "Attempts that failed, of all workers, ever", labels=["job"])
        for depth in self._depths:
            for status, count in (("waiting", depth.waiting), ("running", depth.running), ("held", depth.held)):
                jobs.add_metric([depth.job, status], count)
            oldest.add_metric([depth.job], depth.oldest_s)
            failures.add_metric([depth.job], depth.failures)
        yield from (jobs, oldest, failures)
