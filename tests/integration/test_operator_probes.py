"""The probes of a running operator, when what they watch over really stops."""

from __future__ import annotations

import signal
import urllib.error

import pytest
from tests.integration.faulty_api import Fault, Trouble
from tests.integration.operator_process import eventually, operator_world

pytestmark = pytest.mark.integration


def test_silent_watches_fail_the_liveness_and_a_restart_finds_what_they_missed(
    cluster, proxy, kafka, tmp_path
):
    with operator_world(cluster, kafka, tmp_path, start=False, RESYNC_SECONDS="0.5") as world:
        world.operator.use_kubeconfig(proxy.kubeconfig)
        world.operator.start()
        world.create("heard")
        eventually(lambda: world.job("heard"))
        proxy.faults.append(Fault("GET", "watch=true", Trouble.STALL, times=None))
        world.create("unheard")

        def problem() -> str:
            code, text = world.operator.get("HEALTH_PORT", "/healthz")
            return text if code == 503 else ""

        assert "the watches have not told of" in eventually(problem)
        assert world.job("unheard") is None
        proxy.faults.clear()
        world.operator.kill()
        world.operator.start()
        eventually(lambda: world.job("unheard"))
        eventually(world.operator.is_healthy)


def test_while_the_event_loop_stands_no_probe_is_answered(cluster, kafka, tmp_path):
    with operator_world(cluster, kafka, tmp_path) as world:
        eventually(world.operator.is_healthy)
        world.operator.signal(signal.SIGSTOP)
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            world.operator.get("HEALTH_PORT", "/healthz", timeout_s=1)
        world.operator.signal(signal.SIGCONT)
        eventually(world.operator.is_healthy)
