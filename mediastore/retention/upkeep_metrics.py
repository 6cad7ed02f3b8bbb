"""How the upkeep of stores fares, in numbers of the database: the same from whichever server is asked."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mediastore.database import Connection
from mediastore.retention import fixity_queries, upkeep_queries
from mediastore.retention.fixity_queries import Trouble
from mediastore.retention.upkeep_queries import FindingCount, StoreFigures

DOUBTFUL = "what it holds is not what its rows say; its reconciliations tell more"
CHANGED = "bytes are not those that were verified; `mediastore_fixity_bad` tells how many"


class UpkeepMetrics(Collector):
    """Shows what `refresh` has read."""

    def __init__(self) -> None:
        self._figures: list[StoreFigures] = []
        self._findings: list[FindingCount] = []
        self._troubles: list[Trouble] = []

    async def refresh(self, connection: Connection) -> None:
        self._figures = await upkeep_queries.figures(connection)
        self._findings = await upkeep_queries.finding_counts(connection)
        self._troubles = await fixity_queries.troubles(connection)

    def forget(self) -> None:
        """Say nothing rather than what was."""
        self._figures, self._findings, self._troubles = [], [], []

    async def problems(self, connection: Connection) -> dict[str, str]:
        """For each store that something is wrong with, what; without numbers, which are not for everybody."""
        found = {item.store: DOUBTFUL for item in await upkeep_queries.figures(connection) if item.problem}
        for trouble in await fixity_queries.troubles(connection, of=("mismatch",)):
            found.setdefault(trouble.store, CHANGED)
        return found

    def collect(self) -> Iterator[Metric]:
        problem = GaugeMetricFamily("mediastore_reconcile_problem", "1 for a store that can't be believed", labels=["store"])
        age = GaugeMetricFamily(
            "mediastore_reconcile_age_seconds", "Since a comparison with the rows came to its end", labels=["store"]
        )
        absent = GaugeMetricFamily("mediastore_reconcile_absent", "Objects that are asked for again", labels=["store"])
        findings = GaugeMetricFamily("mediastore_reconcile_findings", "Findings not decided", labels=["store", "what"])
        oldest = GaugeMetricFamily("mediastore_fixity_oldest_seconds", "Age of the oldest comparison", labels=["store"])
        objects = CounterMetricFamily("mediastore_fixity_objects", "Objects read for comparison, ever", labels=["store"])
        size = CounterMetricFamily("mediastore_fixity_bytes", "Bytes read for comparison, ever", labels=["store"])
        bad = GaugeMetricFamily("mediastore_fixity_bad", "Objects that were not found well", labels=["store", "fixity"])
        for item in self._figures:
            problem.add_metric([item.store], float(item.problem is not None))
            absent.add_metric([item.store], item.absent)
            objects.add_metric([item.store], item.objects_read)
            size.add_metric([item.store], item.bytes_read)
            if item.reconciled_age_s is not None:
                age.add_metric([item.store], item.reconciled_age_s)
            if item.fixity_age_s is not None:
                oldest.add_metric([item.store], item.fixity_age_s)
        for count in self._findings:
            findings.add_metric([count.store, count.kind], count.count)
        for trouble in self._troubles:
            bad.add_metric([trouble.store, trouble.fixity], trouble.objects)
        yield from (problem, age, absent, findings, oldest, objects, size, bad)
