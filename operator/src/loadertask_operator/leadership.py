"""Which of several operators leads: one Lease, taken, renewed, given back (design operator §4).

The step is the official client's. Around it is what its own loop lacks: every request is bounded,
a lost Lease is noticed at once, a wake-up after a pause too (``is_held`` rests on the monotonic
clock and on when the last renewal was *begun*), and the Lease is given back at the end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from secrets import token_hex

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from loadertask_operator import names
from loadertask_operator.errors import LostLeadershipError

logger = logging.getLogger(__name__)

LEASE_S = 15
RENEW_S = 10
RETRY_S = 2
_ATTEMPT_S = 5.0
_NEVER_S = float("-inf")


class _Lock(LeaseLock):
    """The client's lock, but for what its version 37.0.2 cannot do: make the Lease.

    It asks for ``pretty=True``, which its own validation refuses.
    """

    async def create(
        self, name: str, namespace: str, election_record: LeaderElectionRecord
    ) -> bool:
        """Create the Lease with us as its holder; whether that could be done."""
        metadata = client.V1ObjectMeta(name=name)
        lease = client.V1Lease(metadata=metadata, spec=self.update_lease(election_record))
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except client.ApiException as error:
            logger.warning("the Lease cannot be created: %s %s", error.status, error.reason)
            return False
        return True


class Leadership:
    """The right to write, as long as the Lease is ours."""

    def __init__(
        self,
        api_client: client.ApiClient,
        namespace: str,
        pod_name: str,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # Two processes of one name must not take each other for themselves.
        self.identity = f"{pod_name}_{token_hex(6)}"
        self._clock_s = clock_s
        self._held_until_s = _NEVER_S
        self._seen_at_s = clock_s()
        self._lock = _Lock(names.COMPONENT, namespace, self.identity, api_client)
        self._election = LeaderElection(
            Config(self._lock, LEASE_S, RENEW_S, RETRY_S, _unused, _unused)
        )

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have taken the Lease yet."""
        return self._clock_s() < self._held_until_s

    async def acquire(self, on_attempt: Callable[[], None] = lambda: None) -> None:
        """Wait until we lead; ``on_attempt`` is called after each try."""
        while not await self._try():
            on_attempt()
            await asyncio.sleep(RETRY_S)
        logger.info("leading as %s", self.identity)

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LostLeadershipError: the Lease is another's, or was not renewed in time.

        """
        while True:
            await asyncio.sleep(RETRY_S)
            self.require()
            await self._try()
            self.require()
            record = self._election.observed_record
            holder = record.holder_identity if record else None
            if holder != self.identity:
                raise LostLeadershipError(0, f"the Lease is held by {holder or 'nobody'}")

    def require(self) -> None:
        """Let nothing be done without the Lease.

        Raises:
            LostLeadershipError: it is not ours any more, for all we know.

        """
        if not self.is_held:
            raise LostLeadershipError(0, f"the Lease was not renewed for {RENEW_S} s")

    async def release(self) -> None:
        """Give the Lease back, so that the next need not wait for its end; failures are logged."""
        has_led, self._held_until_s = self._held_until_s > _NEVER_S, _NEVER_S
        if not has_led:
            return
        try:
            async with asyncio.timeout(_ATTEMPT_S):
                await self._give_back()
        except (aiohttp.ClientError, client.ApiException, OSError, TimeoutError) as error:
            logger.warning("the Lease was not given back: %s %s", type(error).__name__, error)

    async def _give_back(self) -> None:
        leases, name, namespace = self._lock.api_instance, self._lock.name, self._lock.namespace
        lease = await leases.read_namespaced_lease(name, namespace)
        if lease.spec is None or lease.spec.holder_identity != self.identity:
            return
        # As client-go does it: a Lease without a holder is free.
        lease.spec.holder_identity = ""
        lease.spec.lease_duration_seconds = 1
        await leases.replace_namespaced_lease(name, namespace, lease)
        logger.info("the Lease is given back")

    async def _try(self) -> bool:
        """One attempt to take or renew the Lease."""
        begun_s = self._clock_s()
        known = self._election.observed_record
        self._age_by_steps(begun_s)
        try:
            async with asyncio.timeout(_ATTEMPT_S):
                is_ours = await self._election.try_acquire_or_renew()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.warning("no answer about the Lease: %s %s", type(error).__name__, error)
            return False
        finally:
            if self._election.observed_record is not known:
                self._seen_at_s = self._clock_s()
        if is_ours:
            self._held_until_s = begun_s + RENEW_S
        return bool(is_ours)

    def _age_by_steps(self, now_s: float) -> None:
        """Let the client age the Lease it saw by the steps of our clock.

        Its version 37.0.2 does so by the time of day: a standby whose clock is set forward would
        take the Lease of a living leader, and one whose clock is set back would wait that long.
        """
        seen_s = time.time() - (now_s - self._seen_at_s)
        self._election.observed_time_milliseconds = int(seen_s * 1000)


async def _unused() -> None:
    """The client's own loop, which would call this, is not run."""
