from __future__ import annotations

import asyncio
import http.client
import logging
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loadertask_devstack.stack import free_port
from loadertask_worker import health, metrics
from loadertask_worker.health import serving_metrics


@pytest.fixture
def port() -> int:
    return free_port()


def ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=30)
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

    def until_unhealthy() -> tuple[int, str]:
        while (answer := ask(port, "/healthz"))[0] == 200:
            time.sleep(0.05)
        return answer

    with ThreadPoolExecutor(1) as outside:
        async with serving_metrics(port):
            await asyncio.sleep(0)
            # The loop is stuck until there is an answer.
            status, text = outside.submit(until_unhealthy).result(30)
    assert status == 503
    assert re.fullmatch(r"the event loop has been stuck for \d+ s\n", text)


async def test_a_loop_that_moves_again_is_healthy_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STUCK_AFTER_S", 0.7)
    async with serving_metrics(port):
        time.sleep(1.0)  # noqa: ASYNC251 - the loop is stuck
        async with asyncio.timeout(30):
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


async def test_leaving_waits_for_no_end_of_the_server(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, may_end, has_ended = health._Server.close, threading.Event(), threading.Event()

    def close_late(server: health._Server) -> None:
        may_end.wait(30)
        close(server)
        has_ended.set()

    monkeypatch.setattr(health._Server, "close", close_late)
    async with serving_metrics(port):
        pass
    assert not has_ended.is_set()
    may_end.set()
    assert has_ended.wait(30)
