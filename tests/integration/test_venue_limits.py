"""Limits, faults and the control interface of the replay over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadertask_devstack.venue.limits import LimitRules
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.server import running_venue
from loadertask_devstack.venue.state import VenueSettings

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
RULES = LimitRules(weight_per_minute=10, ignored_refusals=2, first_ban_s=120)


class Client:
    """A client of one replay, whose clock the test moves."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.now_ms = NOW_MS

    async def get(self, path: str = KLINES) -> tuple[int, str, Any]:
        async with self.session.get(path) as response:
            return response.status, await response.text(), response.headers

    async def control(self, method: str, path: str, body: object = None) -> Any:
        async with self.session.request(method, f"/_replay/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.status == 200 else None

    async def fault(self, kind: str, **rule: Any) -> None:
        fault = {"kind": kind} | rule.pop("fault", {})
        await self.control("POST", "faults", [{"fault": fault} | rule])


@asynccontextmanager
async def client_of(rules: LimitRules) -> AsyncIterator[Client]:
    clients: list[Client] = []
    settings = VenueSettings(rules=rules)
    async with running_venue(settings, clock_ms=lambda: clients[0].now_ms) as venue:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(venue.url, timeout=timeout) as session:
            clients.append(Client(session))
            yield clients[0]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with client_of(LimitRules()) as client:
        yield client


@pytest.fixture
async def limited() -> AsyncIterator[Client]:
    async with client_of(RULES) as client:
        yield client


async def test_every_answer_carries_the_weight_used_in_this_minute(client: Client) -> None:
    weights = []
    for path in (KLINES, f"{KLINES}&limit=1000", "/api/v3/ping", "/api/v3/exchangeInfo",
                 f"{KLINES}&bad=1", "/nowhere"):  # fmt: skip
        _, _, headers = await client.get(path)
        assert headers["X-MBX-USED-WEIGHT"] == headers["x-mbx-used-weight-1m"]
        weights.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
    assert weights == [2, 4, 5, 25, 27, 28]


async def test_over_the_limit_is_429_until_the_next_clock_minute(limited: Client) -> None:
    assert [(await limited.get())[0] for _ in range(6)] == [200] * 5 + [429]
    status, body, headers = await limited.get()
    assert (status, headers["Retry-After"]) == (429, "18")
    assert '"code":-1003' in body
    assert headers["X-MBX-USED-WEIGHT-1M"] == "14"
    limited.now_ms += 18_000
    assert (await limited.get())[0] == 200


async def test_going_on_after_429_is_418_with_a_growing_ban(limited: Client) -> None:
    statuses = [(await limited.get())[0] for _ in range(8)]
    assert statuses == [200] * 5 + [429, 429, 418]
    limited.now_ms += 60_000
    status, body, headers = await limited.get()
    assert (status, headers["Retry-After"]) == (418, "60")
    assert f"IP banned until {NOW_MS + 120_000}." in body
    limited.now_ms += 60_000
    statuses = [(await limited.get())[0] for _ in range(8)]
    assert statuses[-1] == 418
    _, _, headers = await limited.get()
    assert headers["Retry-After"] == "240"
    await limited.control("DELETE", "limits")
    assert (await limited.get())[0] == 200


async def test_raw_requests_are_limited_over_five_minutes() -> None:
    async with client_of(LimitRules(raw_per_five_minutes=3)) as client:
        assert [(await client.get("/api/v3/ping"))[0] for _ in range(4)] == [200, 200, 200, 429]
        _, _, headers = await client.get("/api/v3/ping")
        assert headers["Retry-After"] == "138"


@pytest.mark.parametrize(
    ("kind", "fields", "status", "part"),
    [
        ("status", {"status": 503, "code": -1008, "msg": "overloaded"}, 503, '{"code":-1008,'),
        ("html403", {}, 403, "<html>"),
        ("empty404", {}, 404, ""),
        ("restricted451", {}, 451, '{"code":0,"msg":"Service unavailable from a restricted'),
        ("html5xx", {"status": 502}, 502, "502 Bad Gateway"),
        ("empty5xx", {"status": 504}, 504, ""),
        ("backend_timeout", {"delay_s": 0}, 504, '{"code":-1007,'),
    ],
)
async def test_a_fault_replaces_the_answer_once_and_is_charged(
    client: Client, kind: str, fields: dict[str, Any], status: int, part: str
) -> None:
    await client.fault(kind, fault=fields, times=1)
    answered, body, headers = await client.get()
    assert answered == status
    assert part in body
    assert bool(body) == bool(part)
    assert headers["X-MBX-USED-WEIGHT-1M"] == "2"
    assert (await client.get())[0] == 200


async def test_a_refusal_by_the_edge_can_carry_retry_after(client: Client) -> None:
    await client.fault("html403", fault={"retry_after_s": 7})
    _, _, headers = await client.get()
    assert headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("truncate", aiohttp.ClientPayloadError), ("reset", aiohttp.ClientError)],
)
async def test_the_connection_breaks_in_the_middle_of_the_body(
    client: Client, kind: str, error: type[Exception]
) -> None:
    await client.fault(kind, fault={"keep_bytes": 100}, times=1)
    async with client.session.get(KLINES) as response:
        assert response.status == 200
        with pytest.raises(error):
            await response.read()
    assert (await client.get())[0] == 200


async def test_a_reset_is_a_tcp_reset_and_a_truncation_a_quiet_end(client: Client) -> None:
    ends = []
    for kind in ("truncate", "reset"):
        await client.fault(kind, fault={"keep_bytes": 100}, times=1)
        url = client.session._base_url
        assert url is not None
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(f"GET {KLINES} HTTP/1.1\r\nHost: venue\r\n\r\n".encode())
        try:
            await asyncio.wait_for(reader.read(), 10)
            ends.append("end")
        except ConnectionResetError:
            ends.append("reset")
        writer.close()
    assert ends == ["end", "reset"]


async def test_a_hanging_answer_ends_when_the_client_leaves_and_a_slow_one_comes(
    client: Client,
) -> None:
    await client.fault("hang", times=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.get(), 0.3)
    await client.fault("slow", fault={"delay_s": 0.2}, times=1)
    started = asyncio.get_running_loop().time()
    assert (await client.get())[0] == 200
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_faults_match_path_parameters_and_count_and_are_listed(client: Client) -> None:
    await client.fault(
        "html403", match={"path": "/api/v3/klines", "params": {"symbol": "BTCUSDT"}, "nth": 2}
    )
    assert (await client.get())[0] == 200
    assert (await client.get("/api/v3/ping"))[0] == 200
    assert (await client.get("/api/v3/klines?symbol=ETHUSDT&interval=1m"))[0] == 200
    assert (await client.get())[0] == 403
    (rule,) = await client.control("GET", "faults")
    assert (rule["matched"], rule["fired"]) == (2, 1)
    await client.control("DELETE", "faults")
    assert (await client.get())[0] == 200


async def test_a_mistake_in_a_fault_is_refused_with_its_place(client: Client) -> None:
    body = [{"fault": {"kind": "explode"}}]
    async with client.session.post("/_replay/faults", json=body) as response:
        assert response.status == 400
        assert "fault.kind" in await response.text()


async def test_the_audit_tells_every_request_with_its_parameters(client: Client) -> None:
    await client.get(f"{KLINES}&limit=3")
    await client.get(f"{KLINES}&nonsense=1")
    audit = await client.control("GET", "audit")
    assert (audit["total"], audit["statuses"]) == (2, {"200": 1, "400": 1})
    first, second = audit["requests"]
    assert first["params"] == {"symbol": "BTCUSDT", "interval": "1m", "limit": "3"}
    assert (first["rows"], first["weight"], first["source"]) == (3, 2, "synthetic")
    assert (second["status"], second["used_weight"]) == (400, 4)
    (minute,) = audit["weight_per_minute"]
    assert (minute["minute_ms"], minute["weight"]) == (NOW_MS // 60_000 * 60_000, 4)
    await client.control("DELETE", "audit")
    assert (await client.control("GET", "audit"))["total"] == 0


async def test_the_venues_clock_can_be_stepped(client: Client) -> None:
    await client.control("PUT", "clock", {"skew_ms": -2500})
    _, body, _ = await client.get("/api/v3/time")
    assert body == f'{{"serverTime":{NOW_MS - 2500}}}'


async def test_outages_of_our_own_remove_synthetic_candles(client: Client) -> None:
    start_ms, end_ms = moment_ms("2024-06-01T10:00"), moment_ms("2024-06-01T11:00")
    path = f"{KLINES}&startTime={start_ms}&limit=1"
    assert f"[[{start_ms}," in (await client.get(path))[1]
    await client.control("PUT", "outages", [{"start_ms": start_ms, "end_ms": end_ms}])
    assert f"[[{end_ms}," in (await client.get(path))[1]


async def test_the_overview_says_what_is_recorded(client: Client) -> None:
    overview = await client.control("GET", "")
    assert overview["service"] == "loadertask-venue-replay"
    assert overview["recordings"][0].startswith("BTCUSDT 1m 2020-01-01..2020-01-03")
