"""The right to write against an API server that holds one Lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from loadertask_operator.cluster import Cluster
from loadertask_operator.errors import LostLeadershipError
from loadertask_operator.leadership import LEASE_S, RENEW_S, RETRY_S, Leadership
from loadertask_operator.schema import TaskKey


class Leases:
    """What an API server knows of one Lease: versions, conflicts, and failures on demand."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.failing = False

    async def answer(self, request: web.Request) -> web.Response:
        if self.failing:
            return web.json_response({"kind": "Status", "code": 500}, status=500)
        if request.method == "GET" and self.lease is None:
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        if request.method in {"POST", "PUT"}:
            body = await request.json()
            known = self.lease["metadata"]["resourceVersion"] if self.lease else None
            if body["metadata"].get("resourceVersion") != known:
                return web.json_response({"kind": "Status", "code": 409}, status=409)
            body["metadata"]["resourceVersion"] = str(int(known or 0) + 1)
            self.lease = body
        return web.json_response(self.lease)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def served(leases: Leases) -> AsyncIterator[client.ApiClient]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", leases.answer)
    async with TestServer(application) as server:
        host = str(server.make_url("")).rstrip("/")
        async with client.ApiClient(client.Configuration(host=host)) as api_client:
            yield api_client


async def test_the_lease_is_made_with_our_name_and_held_for_less_than_it_lasts():
    leases, clock = Leases(), Clock()
    async with served(leases) as api_client:
        leadership = Leadership(api_client, "ns", "pod-a", clock)
        assert not leadership.is_held
        await leadership.acquire()
        assert leases.lease
        assert leases.lease["spec"]["holderIdentity"].startswith("pod-a_")
        assert leases.lease["spec"]["leaseDurationSeconds"] == LEASE_S == 15
        assert RENEW_S < LEASE_S - RETRY_S
        clock.now_s += RENEW_S - 0.1
        assert leadership.is_held
        clock.now_s += 0.1
        assert not leadership.is_held


async def test_whoever_wakes_late_may_not_write_and_is_told_so(monkeypatch):
    leases, clock = Leases(), Clock()
    async with served(leases) as api_client:
        leadership = Leadership(api_client, "ns", "pod-a", clock)
        await leadership.acquire()
        version = leases.lease and leases.lease["metadata"]["resourceVersion"]
        clock.now_s += 3600
        cluster = Cluster(api_client, leadership.require)
        with pytest.raises(LostLeadershipError):
            await cluster.create_job({"metadata": {"namespace": "ns", "name": "job"}})
        monkeypatch.setattr("loadertask_operator.leadership.RETRY_S", 0)
        with pytest.raises(LostLeadershipError, match="not renewed"):
            await leadership.keep()
        assert leases.lease
        assert leases.lease["metadata"]["resourceVersion"] == version


async def test_reading_needs_no_lease():
    leases = Leases()
    async with served(leases) as api_client:
        cluster = Cluster(api_client, Leadership(api_client, "ns", "pod-a").require)
        leases.lease = {"metadata": {"name": "t", "namespace": "ns", "uid": "u"}}
        leases.lease["metadata"] |= {
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
        }
        assert (await cluster.get_task(TaskKey("ns", "t"))).uid == "u"


async def test_a_lease_that_another_took_is_lost_at_once(monkeypatch):
    leases = Leases()
    async with served(leases) as api_client:
        leadership = Leadership(api_client, "ns", "pod-a")
        await leadership.acquire()
        monkeypatch.setattr("loadertask_operator.leadership.RETRY_S", 0)
        assert leases.lease
        leases.lease["spec"]["holderIdentity"] = "pod-b"
        leases.lease["metadata"]["resourceVersion"] = "77"
        with pytest.raises(LostLeadershipError, match="held by pod-b"):
            await leadership.keep()


async def test_a_server_that_fails_longer_than_the_deadline_ends_it(monkeypatch):
    leases, clock = Leases(), Clock()

    def tick() -> float:
        clock.now_s += 0.5
        return clock.now_s

    async with served(leases) as api_client:
        leadership = Leadership(api_client, "ns", "pod-a", tick)
        await leadership.acquire()
        leases.failing = True
        monkeypatch.setattr("loadertask_operator.leadership.RETRY_S", 0)
        with pytest.raises(LostLeadershipError, match="not renewed"):
            await leadership.keep()


async def test_a_lease_given_back_is_free_for_the_next_without_a_wait():
    leases = Leases()
    async with served(leases) as api_client:
        first, second = (Leadership(api_client, "ns", name) for name in ("a", "b"))
        await first.acquire()
        await first.release()
        assert not first.is_held
        assert leases.lease
        assert leases.lease["spec"]["holderIdentity"] == ""
        await second.acquire()
        assert leases.lease["spec"]["holderIdentity"] == second.identity


async def test_a_standby_gives_nothing_back():
    leases = Leases()
    async with served(leases) as api_client:
        first, second = (Leadership(api_client, "ns", name) for name in ("a", "b"))
        await first.acquire()
        await second.release()
        assert leases.lease
        assert leases.lease["spec"]["holderIdentity"] == first.identity


async def test_two_processes_of_one_name_are_not_one_leader():
    async with served(Leases()) as api_client:
        assert len({Leadership(api_client, "ns", "pod").identity for _ in range(2)}) == 2


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_a_clock_that_is_set_moves_neither_the_leader_nor_the_standby(monkeypatch, jump_s):
    leases, steps = Leases(), Clock()
    of_day = [datetime(2026, 1, 1, microsecond=500, tzinfo=UTC).timestamp()]
    monkeypatch.setattr("time.time", lambda: of_day[0])
    async with served(leases) as api_client:
        leader = Leadership(api_client, "ns", "pod-a", steps)
        standby = Leadership(api_client, "ns", "pod-b", steps)
        await leader.acquire()
        assert not await standby._try()
        of_day[0] += jump_s
        assert leader.is_held
        assert not await standby._try()
        steps.now_s += RENEW_S - 1
        # The leader's own renewal, with the time of day that it has now, is one like any other.
        assert await leader._try()
        steps.now_s += RENEW_S - 1
        assert leader.is_held
        assert not await standby._try()
        # It dies. The standby waits as long as the Lease lasts, and no longer.
        of_day[0] += jump_s
        steps.now_s += LEASE_S - 1
        assert not await standby._try()
        steps.now_s += 1
        assert await standby._try()
        assert not leader.is_held
