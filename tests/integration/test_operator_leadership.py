"""Two operators and one Lease: who leads, how fast the other takes over, what is done but once.

The tests follow each other on one pair of processes: starts and Leases take their seconds.
"""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from kubernetes import client, config
from tests.integration.faulty_api import Fault, FaultyApi
from tests.integration.operator_process import (
    OperatorProcess,
    World,
    eventually,
    operator_world,
)
from tests.integration.stopwatch import Stopwatch

pytestmark = pytest.mark.integration

TAKEOVER_S = 30
LEASE_S = 15
QUICK_TAKEOVER_S = 10
"""Sooner than by the end of the Lease."""
LEADS = "loadertask_is_leader"


@dataclass
class Pair:
    """Two operators in one world; the first speaks through a proxy."""

    world: World
    first: OperatorProcess
    second: OperatorProcess
    proxy: FaultyApi

    def log(self) -> str:
        return f"first:\n{self.first.log()}\nsecond:\n{self.second.log()}"

    def lease(self) -> client.V1LeaseSpec:
        api_client = config.new_client_from_config(str(self.world.kubeconfig))
        leases = client.CoordinationV1Api(api_client)
        return leases.read_namespaced_lease("loadertask-operator", self.world.namespace).spec


@pytest.fixture(scope="module")
def pair(cluster, proxy, kafka, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pair")
    settings = {"LEADER_ELECTION": "true", "STATUS_WRITE_SECONDS": "0"}
    with ExitStack() as stack:
        world = stack.enter_context(
            operator_world(cluster, kafka, directory, start=False, **settings)
        )
        first = world.operator.twin(
            directory / "first.log", POD_NAME="first", KUBECONFIG=str(proxy.kubeconfig)
        )
        second = world.operator.twin(directory / "second.log", POD_NAME="second")
        for operator in (first, second):
            stack.callback(operator.close)
        yield Pair(world, first, second, proxy)


def leads(operator: OperatorProcess) -> None:
    eventually(lambda: operator.metric(LEADS) == 1)


@dataclass
class Chatter:
    """Events of running tasks, one after another, until it is ended."""

    world: World
    names: list[str]
    sent: dict[str, int] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.sent = dict.fromkeys(self.names, 0)
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        while not self._ended.wait(0.05):
            for name in self.names:
                self.sent[name] += 1
                self.world.say(name, "loading", written=self.sent[name])

    def end(self) -> dict[str, int]:
        self._ended.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.sent


def ends_with(world: World, name: str, events_applied: int) -> None:
    world.say(name, "finished", written=1440)
    world.pod_ends(name, 0)
    status = world.reaches(name, "Succeeded")
    assert world.job_count(name) == 1
    assert (status["attempts"], status.get("failures", 0)) == (1, 0)
    assert status["telemetry"]["eventsApplied"] == events_applied


def test_one_leads_and_the_other_is_ready_and_does_nothing(pair):
    pair.first.start()
    leads(pair.first)
    pair.second.start()
    assert pair.second.metric(LEADS) == 0
    assert pair.second.get("HEALTH_PORT", "/healthz")[0] == 200
    assert pair.lease().holder_identity.startswith("first_")
    assert pair.lease().lease_duration_seconds == LEASE_S


def test_when_the_leader_is_killed_the_other_goes_on_without_losing_or_doubling_anything(pair):
    world, names = pair.world, ["ha-0", "ha-1", "ha-2"]
    world.operator = pair.first
    for name in names:
        world.running(name)
    chatter = Chatter(world, names)
    eventually(lambda: world.status("ha-0").get("recordsWritten", 0) > 3)
    with Stopwatch() as watch:
        pair.first.kill()
        world.create("between")
        leads(pair.second)
    assert watch.took_s <= TAKEOVER_S
    world.operator = pair.second
    sent = chatter.end()
    for name in names:
        ends_with(world, name, sent[name] + 2)
    eventually(lambda: world.job("between"))
    assert world.job_count("between") == 1


def test_a_leader_that_is_asked_to_end_hands_over_at_once(pair):
    pair.first.start()
    assert pair.first.metric(LEADS) == 0
    with Stopwatch() as watch:
        assert pair.second.terminate() == 0
        leads(pair.first)
    assert watch.took_s <= QUICK_TAKEOVER_S
    assert pair.lease().holder_identity.startswith("first_")


def test_a_standby_that_is_asked_to_end_leaves_the_lease_alone(pair):
    pair.second.start()
    assert pair.second.terminate() == 0
    assert pair.lease().holder_identity.startswith("first_")
    pair.second.start()


def test_a_paused_leader_that_wakes_after_its_lease_was_taken_writes_nothing_and_ends(pair):
    world = pair.world
    world.operator = pair.first
    world.running("pause")
    pair.first.signal(signal.SIGSTOP)
    leads(pair.second)
    world.operator = pair.second
    # There is much that the old leader would like to write when it wakes.
    for written in range(1, 20):
        world.say("pause", "loading", written=written)
    world.patch("pause", {"spec": {"stop": True}})
    eventually(lambda: world.status("pause").get("recordsWritten") == 19)
    before = len(pair.proxy.writes())
    pair.first.signal(signal.SIGCONT)
    assert pair.first.wait() == 1
    assert pair.proxy.writes()[before:] == []
    assert "no longer the leader" in pair.first.log()
    assert pair.lease().holder_identity.startswith("second_")


def test_a_leader_that_cannot_renew_ends_before_another_may_lead(pair):
    pair.first.start()
    assert pair.second.terminate() == 0
    leads(pair.first)
    with Stopwatch() as watch:
        pair.proxy.faults.append(Fault("PUT", "/leases/", 500, times=None))
        assert pair.first.wait() == 1
    assert watch.took_s < LEASE_S
    pair.proxy.faults.clear()
