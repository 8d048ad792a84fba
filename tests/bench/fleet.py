"""Many tasks at once, seen by watches of their own, with their kubelet and workers played.

Everything is timed by the monotonic clock of this process.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from confluent_kafka import Producer
from tests.integration.faulty_api import access
from tests.integration.operator_process import CANDLES

from loadertask_contract.events import Event, Progress, QueueEvent, encode_event
from loadertask_operator import names

_CREATORS = 24
_WAIT_S = 240.0
_JSON = {"Content-Type": "application/json"}
_MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Seen:
    """What was seen of one task, and when."""

    asked_s: float = 0.0
    job_s: float | None = None
    phases_s: dict[str, float] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    has_finalizer: bool = False


class Fleet:
    """The tasks of one namespace."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        namespace: str,
        producer: Producer,
        topic: str,
    ) -> None:
        self._session = session
        self._url = url
        self._producer = producer
        self._topic = topic
        self._tasks = f"{url}/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}"
        self._jobs = f"{url}/apis/batch/v1/namespaces/{namespace}/jobs"
        self.seen: dict[str, Seen] = {}

    # people

    async def create(self, wanted: Iterable[str], **spec: Any) -> None:
        """Create tasks as fast as the API server takes them."""
        waiting = iter(list(wanted))

        async def work() -> None:
            for name in waiting:
                body = {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "metadata": {"name": name},
                    "spec": CANDLES | spec,
                }
                self.seen.setdefault(name, Seen()).asked_s = time.monotonic()
                await self._send("POST", self._tasks, body, _JSON)

        await asyncio.gather(*(work() for _ in range(_CREATORS)))

    # the workers and the kubelet

    def say(self, name: str, status: str, written: int = 0) -> None:
        """An event as the worker of the task sends it."""
        stored = self.seen[name].status
        event = Event(
            QueueEvent(
                queue_id=stored["queueId"],
                symbol="BTCUSDT",
                type="api_candles_1m",
                status=status,
                message=status,
                records_written=written,
                finished=status == "finished",
                producer=stored["currentAttempt"]["producerId"],
                timestamp=time.time(),
            ),
            Progress(done=written, total=100_000),
        )
        message = encode_event(event)
        headers = list(message.headers)
        self._producer.produce(self._topic, message.value, message.key, headers=headers)
        self._producer.poll(0)

    async def end_job(self, name: str) -> None:
        """What the Job controller writes when the pod has succeeded."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        done = {"status": "True", "lastTransitionTime": now}
        conditions = [{"type": kind, **done} for kind in ("SuccessCriteriaMet", "Complete")]
        status = {"startTime": now, "completionTime": now, "succeeded": 1}
        body = {"status": status | {"conditions": conditions}}
        await self._send("PATCH", f"{self._jobs}/{name}-1/status", body, _MERGE)

    async def end_jobs(self, wanted: Iterable[str]) -> None:
        """The same of many, some at a time."""
        waiting = iter(list(wanted))

        async def work() -> None:
            for name in waiting:
                await self.end_job(name)

        await asyncio.gather(*(work() for _ in range(_CREATORS)))

    async def live(self, wanted: list[str], events: int) -> None:
        """The whole life of loads with so many events each, from the creation on."""
        waiting, spread = iter(wanted), max(1, min(50, len(wanted)))

        async def work() -> None:
            for name in waiting:
                await self.until(lambda n=name: self._is_startable(n))
                self.say(name, "started")
                for number in range(1, events - 1):
                    self.say(name, "loading", number)
                    await asyncio.sleep(0.02)
                self.say(name, "finished", 100_000)
                await self.end_job(name)

        await self.create(wanted)
        await asyncio.gather(*(work() for _ in range(spread)))
        await self.until(lambda: all(self.is_tidy(name) for name in wanted))

    async def start(self, wanted: list[str]) -> None:
        """Tasks that run."""
        await self.create(wanted)
        for name in wanted:
            await self.until(lambda n=name: self._is_startable(n))
            self.say(name, "started")
        await self.until(lambda: all("Running" in self.seen[n].phases_s for n in wanted))

    # what is seen

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to be seen."""
        async with asyncio.timeout(_WAIT_S):
            while not holds():  # noqa: ASYNC110 - what is seen comes from several watches
                await asyncio.sleep(0.01)

    def is_tidy(self, name: str) -> bool:
        """Whether a task has ended and the operator holds nothing of it."""
        one = self.seen[name]
        return one.status.get("phase") == "Succeeded" and not one.has_finalizer

    def _is_startable(self, name: str) -> bool:
        one = self.seen[name]
        return one.job_s is not None and "jobUID" in one.status.get("currentAttempt", {})

    async def follow_tasks(self) -> None:
        async for _, body in self._watch(self._tasks):
            now_s = time.monotonic()
            one = self.seen.setdefault(body["metadata"]["name"], Seen())
            one.status = body.get("status", {})
            one.has_finalizer = bool(body["metadata"].get("finalizers"))
            one.phases_s.setdefault(one.status.get("phase", ""), now_s)

    async def follow_jobs(self) -> None:
        async for kind, body in self._watch(self._jobs):
            if kind == "ADDED":
                name = body["metadata"]["name"].removesuffix("-1")
                self.seen.setdefault(name, Seen()).job_s = time.monotonic()

    async def _watch(self, url: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async with self._session.get(f"{url}?watch=true") as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    async def _send(
        self, method: str, url: str, body: dict[str, Any], headers: dict[str, str]
    ) -> None:
        async with self._session.request(
            method, url, data=json.dumps(body), headers=headers
        ) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {url}: {text[:300]}"

    async def writes(self) -> dict[str, float]:
        """Requests that the API server has counted so far, by kind; only an operator makes them."""
        async with self._session.get(f"{self._url}/metrics") as answer:
            text = await answer.text()
        counts: dict[str, float] = {}
        for line in text.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels, _, count = line.removeprefix("apiserver_request_total{").rpartition("} ")
                pairs = dict(part.split("=", 1) for part in labels.split(","))
                kind = " ".join(
                    pairs[n].strip('"') for n in ("verb", "resource", "subresource") if pairs[n]
                ).strip()
                counts[kind] = counts.get(kind, 0) + float(count)
        return {kind: counts.get(kind, 0.0) for kind in OPERATORS_WRITES}


OPERATORS_WRITES = (
    "PATCH loadertasks",
    "PUT loadertasks status",
    "PATCH loadertasks status",
    "DELETE loadertasks",
    "POST jobs",
    "PATCH jobs",
    "DELETE jobs",
)
"""Besides Events and Leases; nobody else in these clusters writes so."""


@asynccontextmanager
async def fleet(
    kubeconfig: Path, namespace: str, producer: Producer, topic: str
) -> AsyncIterator[Fleet]:
    """A fleet that watches."""
    url, context = access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, read_bufsize=2**22
    ) as session:
        made = Fleet(session, url, namespace, producer, topic)
        watches = [asyncio.create_task(w) for w in (made.follow_tasks(), made.follow_jobs())]
        try:
            yield made
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.wait(watches)
