"""The brake: how much one sweep may remove before somebody has to look."""

from datetime import timedelta

from msgspec import Struct

from mediastore.placement.schemas import Retention
from mediastore.retention.due_queries import Weight

FEW_OBJECTS = 100
"""Up to so many the share of a store means nothing."""
PAUSE = timedelta(days=30)
"""Whose last sweep seems to be longer ago asks first: where one machine is server and database, both clocks jump together."""


class Brake(Exception):
    """More would go than the policy allows in one run."""

    def __init__(self, limit: str, reason: str) -> None:
        super().__init__(reason)
        self.limit = limit
        self.reason = reason


class Budget(Struct, kw_only=True):
    """Of one run, whichever processes carry it out."""

    name: str
    """Of the store."""
    policy: Retention
    limited: bool
    """Not where an administrator's word stands."""
    spent: Weight
    """Decided to go so far."""
    total: int
    """Objects of the store when the run began."""
    pause: timedelta
    """Since the sweep before began."""

    def check_pause(self, more: Weight) -> None:
        """Raise `Brake` when so long nothing was swept that it must be asked whether the time is right."""
        if more.records and self.pause > max(PAUSE, 3 * timedelta(seconds=self.policy.sweep_interval_s)):
            raise Brake(
                "clock",
                f"the sweep of {self.name} before this one began {self.pause.days:,} days ago: was the server off for so long, "
                "or has its clock jumped?",
            )

    def check(self, more: Weight) -> None:
        """Raise `Brake` when so much more would be too much. Records without bytes are lost like others, and count."""
        if not self.limited:
            return
        policy, objects, size = self.policy, self.spent.objects + more.objects, self.spent.bytes + more.bytes
        if self.spent.records + more.records > policy.max_objects_per_run or objects > policy.max_objects_per_run:
            self._stop("max_objects_per_run", f"{policy.max_objects_per_run} records or objects of {self.name}")
        if policy.max_bytes_per_run is not None and size > policy.max_bytes_per_run:
            self._stop("max_bytes_per_run", f"{policy.max_bytes_per_run} bytes of {self.name}")
        if self.total > FEW_OBJECTS and objects > self.total * policy.max_share_per_run:
            self._stop("max_share_per_run", f"{policy.max_share_per_run:.0%} of the {self.total} objects of {self.name}")

    def spend(self, weight: Weight) -> None:
        """It was decided that so much goes."""
        self.spent = Weight(
            records=self.spent.records + weight.records,
            objects=self.spent.objects + weight.objects,
            bytes=self.spent.bytes + weight.bytes,
        )

    def _stop(self, limit: str, most: str) -> None:
        raise Brake(limit, f"more than {most} are due at once ({limit})")
