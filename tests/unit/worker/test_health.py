from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loadertask_worker import health, metrics
from loadertask_worker.health import serving_metrics


@pytest.fixture
def port() -> int:
    """A port that is free now; nobody else binds one in between."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def test_a_scrape_shows_what_has_been_counted(port: int) -> None:
    async with serving_metrics(port):
        metrics.COMMANDS.labels("ping").inc()
        status, text = await asyncio.to_thread(ask, port, "/metrics")
    assert status == 200
    assert 'loadertask_worker_commands_total{command="ping"} 1.0' in text


async def test_a_loop_that_runs_is_healthy_and_other_paths_do_not_exist(port: int) -> None:
    async with serving_metrics(port):
        assert await asyncio.to_thread(ask, port, "/healthz") == (200, "ok\n")
        assert (await asyncio.to_thread(ask, port, "/"))[0] == 404


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_both_families_of_addresses_are_served(port: int) -> None:
    async with serving_metrics(port):
        assert (await asyncio.to_thread(ask, port, "/healthz", "::1"))[0] == 200


async def test_a_stuck_loop_is_told_while_it_is_stuck(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STUCK_AFTER_S", 0.5)
    with ThreadPoolExecutor(1) as outside:
        async with serving_metrics(port):
            await asyncio.sleep(0)
            asked = outside.submit(lambda: (time.sleep(0.8), ask(port, "/healthz"))[1])
            time.sleep(1.2)  # noqa: ASYNC251 - the loop is stuck
            assert asked.result() == (503, "the event loop has been stuck for 1 s\n")


async def test_a_loop_that_moves_again_is_healthy_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STUCK_AFTER_S", 0.7)
    async with serving_metrics(port):
        time.sleep(1.0)  # noqa: ASYNC251 - the loop is stuck
        async with asyncio.timeout(5):
            while (await asyncio.to_thread(ask, port, "/healthz"))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_a_taken_port_costs_the_metrics_and_not_the_load(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("", port)), caplog.at_level(logging.WARNING):
        async with serving_metrics(port):
            pass
    assert f"LOADER_METRICS_PORT {port} cannot be served" in caplog.text


async def test_port_0_is_off() -> None:
    async with serving_metrics(0):
        assert not [task for task in asyncio.all_tasks() if "stamp" in repr(task.get_coro())]


async def test_leaving_takes_no_time(port: int) -> None:
    async with serving_metrics(port):
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 0.2
