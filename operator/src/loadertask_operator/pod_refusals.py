"""Why the pods of a Job are not made: quota, limit range or admission refuse them.

Kubernetes tells that in Events of the Job alone. They are listed only while a Job lacks pods, and
at most once per interval and namespace, whatever the number of Jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from loadertask_operator.errors import ApiError
from loadertask_operator.observed import POD_PATIENCE, JobState

logger = logging.getLogger(__name__)


class RefusalLister(Protocol):
    """Tells which Jobs could not make a pod; raises ``errors.ApiError``."""

    async def pod_refusals(self, namespace: str) -> Mapping[str, str]:
        """The last reason by uid of the Job."""


class PodRefusals:
    """What is known of refusals, by namespace."""

    def __init__(
        self, api: RefusalLister, clock: Callable[[], datetime], interval: timedelta
    ) -> None:
        self._api = api
        self._clock = clock
        self._interval = interval
        self._listed: dict[str, tuple[datetime, Mapping[str, str]]] = {}

    async def of(self, job: JobState | None, pods: int, wanted: int) -> str | None:
        """Why ``job`` has fewer pods than are wanted, if the cluster says so."""
        if job is None or job.outcome or job.is_suspended or job.is_deleting or pods >= wanted:
            return None
        if self._clock() < job.created_at + POD_PATIENCE:
            return None
        return (await self._known(job.namespace)).get(job.uid)

    async def _known(self, namespace: str) -> Mapping[str, str]:
        now = self._clock()
        listed_at, known = self._listed.get(namespace, (None, {}))
        if listed_at is not None and now < listed_at + self._interval:
            return known
        # Noted first: others that ask meanwhile make do with what is known.
        self._listed[namespace] = (now, known)
        try:
            known = await self._api.pod_refusals(namespace)
        except ApiError as error:
            # It is a reason for people: everything else goes on without it.
            logger.info("events of Jobs in %s cannot be listed: %s", namespace, error.message)
        self._listed[namespace] = (now, known)
        return known
