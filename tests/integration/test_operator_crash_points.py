"""The operator killed with SIGKILL at every request of a task's life, before it and after it.

A proxy holds the request, or its answer, back; then the operator is killed, and the next one has to
bring every task to its one right end. The tasks of a group share the two lives of an operator.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration.faulty_api import Fault, FaultyApi, Trouble
from tests.integration.operator_process import World, eventually, operator_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300, func_only=True)]

_REACHES_S = 100
_BEGUN_S = time.monotonic()


@dataclass(frozen=True)
class Request:
    """How a request of the operator is recognised; NAME stands for the task's."""

    method: str
    path: str
    body: str = ""

    def fault(self, name: str, effect: Trouble) -> Fault:
        path, body = (text.replace("NAME", name) for text in (self.path, self.body))
        return Fault(self.method, path, effect, body=body)


def _status(body: str) -> Request:
    return Request("PUT", r"/loadertasks/NAME/status", body)


def _phase(phase: str) -> Request:
    return _status(rf'"phase": ?"{phase}"')


FINALIZER_ON = Request("PATCH", r"/loadertasks/NAME$", r"graceful-stop")
FINALIZER_OFF = Request("PATCH", r"/loadertasks/NAME$", r'"finalizers": ?\[\]')
DELETE_JOB = Request("DELETE", r"/jobs/NAME-1$")

POINTS: dict[str, tuple[str, Request]] = {
    # point: (kind of life, request)
    "finalizer-on": ("load", FINALIZER_ON),
    "intent": ("load", _status(r"^(?!.*jobUID).*jobName")),
    "live-look": ("load", Request("GET", r"/loadertasks/NAME$")),
    "job": ("load", Request("POST", r"/jobs\?", r'"name": ?"NAME-1"')),
    "job-told": ("load", Request("POST", r"/events$", r'"name": ?"NAME".*JobCreated')),
    "job-remembered": ("load", _status("jobUID")),
    "running": ("load", _phase("Running")),
    "progress": ("load", _status(r'"recordsWritten": ?700')),
    "end": ("load", _phase("Succeeded")),
    "job-ttl": ("load", Request("PATCH", r"/jobs/NAME-1$", "ttlSecondsAfterFinished")),
    "finalizer-off": ("load", FINALIZER_OFF),
    "stop-intent": ("stop", _phase("Stopping")),
    "stopped": ("stop", _phase("Stopped")),
    "deaf-job-deleted": ("deaf", DELETE_JOB),
    "deaf-stopped": ("deaf", _phase("Stopped")),
    "deletion-intent": ("delete", _phase("Stopping")),
    "deletion-job": ("delete", DELETE_JOB),
    "deletion-finalizer-off": ("delete", FINALIZER_OFF),
}


@pytest.fixture(scope="module")
def world(cluster, proxy, kafka, tmp_path_factory):
    directory = tmp_path_factory.mktemp("operator")
    settings = {"STATUS_WRITE_SECONDS": "0", "GRACE_SECONDS": "20"}
    with operator_world(cluster, kafka, directory, start=False, **settings) as world:
        world.operator.use_kubeconfig(proxy.kubeconfig)
        world.operator.start()
        yield world


class Life:
    """A task, and what people, its worker and the kubelet do about it, one step after another."""

    def __init__(self, world: World, name: str, kind: str) -> None:
        self.world, self.name, self.kind = world, name, kind
        self.steps: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
            (self._create, lambda: self._status().get("currentAttempt", {}).get("jobUID")),
            (self._start, lambda: self._status().get("phase") == "Running"),
            *{
                "load": [
                    (self._load, lambda: self._status().get("recordsWritten") == 700),
                    (self._finish, self._is_tidy),
                ],
                "stop": [
                    (self._stop, lambda: world.stops(name)),
                    (self._obey, lambda: self._status().get("phase") == "Stopped"),
                ],
                "deaf": [(self._stop, lambda: self._status().get("phase") == "Stopped")],
                "delete": [(lambda: world.delete(name), lambda: world.task(name) is None)],
            }[kind],
        ]

    def advance(self) -> None:
        """Take every step whose predecessor has had its effect; a step is taken once."""
        while self.steps:
            act, has_happened = self.steps[0]
            if act is not _nothing:
                act()
                self.steps[0] = (_nothing, has_happened)
            if not has_happened():
                return
            self.steps.pop(0)
            print(
                f"{time.monotonic() - _BEGUN_S:6.1f} s  {self.name}: {len(self.steps)} steps left"
            )

    def _status(self) -> dict[str, Any]:
        return self.world.status(self.name)

    def _create(self) -> None:
        patience = {} if self.kind in {"load", "stop"} else {"stopTimeoutSeconds": 1}
        self.world.create(self.name, **patience)

    def _start(self) -> None:
        self.world.pod_is_running(self.name)
        self.world.say(self.name, "started")

    def _load(self) -> None:
        self.world.say(self.name, "loading", written=700)

    def _finish(self) -> None:
        self.world.say(self.name, "finished", written=1440)
        self.world.pod_ends(self.name, 0)

    def _is_tidy(self) -> bool:
        task, job = self.world.task(self.name), self.world.job(self.name)
        has_ttl = job is not None and job.spec.ttl_seconds_after_finished == 3600
        return has_ttl and task is not None and not task["metadata"].get("finalizers")

    def _stop(self) -> None:
        self.world.patch(self.name, {"spec": {"stop": True}})

    def _obey(self) -> None:
        self.world.say(self.name, "interrupted", written=3)
        self.world.pod_ends(self.name, 0)

    def check_the_end(self) -> None:
        world, name, status = self.world, self.name, self._status()
        if self.kind == "delete":
            assert world.task(name) is None
            eventually(lambda: world.job_count(name) == 0)
            return
        assert status["attempts"] == 1
        assert status.get("failures", 0) == 0
        assert world.job(name, attempt=2) is None
        if self.kind == "load":
            assert status["phase"] == "Succeeded"
            assert world.job_count(name) == 1
            assert status["recordsWritten"] == 1440
            assert status["telemetry"]["eventsApplied"] == 3
        else:
            assert status["phase"] == "Stopped"


def _nothing() -> None:
    """The step was taken."""


def advance_all(lives: list[Life], is_done: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _REACHES_S
    while not is_done():
        for life in lives:
            life.advance()
        if time.monotonic() > deadline_s:
            late = {life.name: life.world.task(life.name) for life in lives if life.steps}
            raise AssertionError(f"not done in {_REACHES_S} s: {json.dumps(late)}")
        time.sleep(0.05)


def was_reached(proxy: FaultyApi, fault: Fault) -> bool:
    return fault in proxy.carried_out if fault.effect is Trouble.SWALLOW else fault.hits == 1


# Each request that is held back holds one of the operator's sixty-four reconcilers.
_HALF = len(POINTS) // 2
_GROUPS = [list(POINTS)[:_HALF], list(POINTS)[_HALF:]]


@pytest.mark.parametrize("effect", [Trouble.HANG, Trouble.SWALLOW], ids=["before", "after"])
@pytest.mark.parametrize("points", _GROUPS, ids=["first-half", "second-half"])
def test_killed_at_any_request_every_task_comes_to_its_one_right_end(world, proxy, points, effect):
    lives, faults = [], {}
    for point in points:
        kind, request = POINTS[point]
        name = f"{point}-{effect.name.lower()}"
        lives.append(Life(world, name, kind))
        faults[point] = request.fault(name, effect)
    proxy.faults[:] = faults.values()
    advance_all(lives, lambda: all(was_reached(proxy, fault) for fault in faults.values()))
    world.operator.kill()
    proxy.faults.clear()
    world.operator.start()
    print(f"{time.monotonic() - _BEGUN_S:6.1f} s  the next operator is ready")
    advance_all(lives, lambda: not any(life.steps for life in lives))
    for life in lives:
        life.check_the_end()
