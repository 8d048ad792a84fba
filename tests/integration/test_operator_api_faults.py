"""The API server answers badly for a while, at every request of a load's life: no load is hurt.

A proxy makes the faults; behind it there is a real API server.
"""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from tests.integration.faulty_api import Fault, Trouble
from tests.integration.operator_process import World, eventually, operator_world

pytestmark = pytest.mark.integration

EFFECTS = (409, 429, 500, 503, Trouble.DROP, Trouble.LOSE)
REQUESTS = {
    # what the operator asks for: method, path, times that it goes wrong
    "finalizer": ("PATCH", r"/loadertasks/NAME$", 2),
    "status": ("PUT", r"/loadertasks/NAME/status", 3),
    "live-look": ("GET", r"/loadertasks/NAME$", 2),
    "live-job": ("GET", r"/jobs/NAME-1$", 2),
    "job-ttl": ("PATCH", r"/jobs/NAME-1$", 2),
    "events": ("POST", r"/events$", 3),
}


@pytest.fixture(scope="module")
def world(cluster, proxy, kafka, tmp_path_factory):
    directory = tmp_path_factory.mktemp("operator")
    settings = {"STATUS_WRITE_SECONDS": "0", "GRACE_SECONDS": "20", "RESYNC_SECONDS": "2"}
    with operator_world(cluster, kafka, directory, start=False, **settings) as world:
        world.operator.use_kubeconfig(proxy.kubeconfig)
        world.operator.start()
        yield world


def test_what_the_server_selects_is_ours_alone(proxy, world):
    for plural in ("jobs", "pods"):

        def watches(plural: str = plural) -> list[str]:
            paths = [s.path for s in proxy.seen if "watch=true" in s.path]
            return [path for path in paths if f"/{plural}?" in path]

        selector = "labelSelector=app.kubernetes.io/managed-by=loadertask-operator"
        assert all(selector in unquote(path) for path in eventually(watches)), watches()


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda one: str(getattr(one, "name", one)))
def test_every_request_may_go_wrong_for_a_while_and_the_load_ends_once(world, proxy, effect):
    names = [f"{what}-{getattr(effect, 'name', effect)}".lower() for what in REQUESTS]
    proxy.faults[:] = [
        Fault(method, path.replace("NAME", name), effect, times)
        for name, (method, path, times) in zip(names, REQUESTS.values(), strict=True)
    ]
    # A Job has its name in the body only; another 409 than "it exists" is not known for it.
    if effect != 409:
        proxy.faults.append(Fault("POST", r"/jobs\?", effect, 4))
    for name in names:
        world.create(name)
    for name in names:
        ends_once(world, name)
    assert all(fault.hits for fault in proxy.faults if "/jobs/" not in fault.path)
    eventually(world.operator.is_healthy)


def test_a_job_that_is_refused_is_told_and_tried_again(world, proxy):
    # For as long as it takes to see it.
    proxy.faults[:] = [Fault("POST", r"/jobs\?", 422, None)]
    world.create("refused")
    eventually(lambda: world.condition("refused", "Accepted") == ("False", "JobRefused"))
    proxy.faults.clear()
    ends_once(world, "refused")


def test_a_request_that_is_never_answered_holds_up_no_other_task(world, proxy):
    proxy.faults[:] = [Fault("PUT", r"/loadertasks/hung/status", Trouble.HANG, None)]
    world.create("hung")
    eventually(lambda: proxy.faults[0].hits)
    world.create("other")
    ends_once(world, "other")
    proxy.faults.clear()


@pytest.mark.parametrize("refused", ["job", "status", "job-and-status"])
def test_a_deletion_ends_although_what_it_needs_is_refused_for_good(world, proxy, refused):
    name = f"deleted-{refused}"
    world.running(name, stopTimeoutSeconds=1)
    faults = {
        "job": Fault("DELETE", rf"/jobs/{name}-1$", 403, None),
        "status": Fault("PUT", rf"/loadertasks/{name}/status", 403, None),
    }
    proxy.faults[:] = [fault for part, fault in faults.items() if part in refused]
    world.delete(name)
    # The stop timeout, the grace of 20 s, and the delay between two tries that fail.
    eventually(lambda: world.task(name) is None, timeout_s=120)
    assert all(fault.hits for fault in proxy.faults)
    proxy.faults.clear()


def ends_once(world: World, name: str) -> None:
    eventually(lambda: world.status(name).get("currentAttempt", {}).get("jobUID"))
    world.pod_is_running(name)
    world.say(name, "started")
    world.say(name, "finished", written=1440)
    world.pod_ends(name, 0)
    status = world.reaches(name, "Succeeded")
    assert (status["attempts"], status.get("failures", 0)) == (1, 0)
    assert status["recordsWritten"] == 1440
    assert world.job_count(name) == 1
    eventually(lambda: not world.task(name)["metadata"].get("finalizers"))
    eventually(lambda: world.job(name).spec.ttl_seconds_after_finished == 3600)
