"""The replay's archive over real HTTP: the tree, files that agree with REST, listing and faults."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
import pytest_asyncio

from loadertask_contract.intervals import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.daemon import default_recordings
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
FOLDER = default_recordings({})
KLINES = "data/spot/daily/klines/ETHUSDT"
MAY = f"{KLINES}/1m/ETHUSDT-1m-2024-05-05.zip"
AGG = "data/spot/daily/aggTrades/QUIETUSDT/QUIETUSDT-aggTrades-2024-05-05.zip"
SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Client:
    """A client of the archive and of REST, whose clock the test moves."""

    def __init__(self, session: aiohttp.ClientSession, venue: RunningVenue) -> None:
        self.session, self.venue = session, venue

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
        async with self.session.request(method, f"/{path}", headers=headers) as response:
            return response.status, await response.read(), response.headers

    async def lines(self, key: str) -> list[str]:
        """The lines of a file whose checksum is right."""
        status, packed, _ = await self.get(key)
        assert status == 200, key
        _, line, _ = await self.get(f"{key}.CHECKSUM")
        name = key.rpartition("/")[2]
        assert line.decode() == f"{hashlib.sha256(packed).hexdigest()}  {name}"
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert archive.namelist() == [name.replace(".zip", ".csv")]
            text = archive.read(archive.namelist()[0]).decode()
        assert text.endswith("\n")
        return text.splitlines()

    async def rest(self, path: str, **headers: str) -> list[Any]:
        async with self.session.get(f"/api/v3/{path}", headers=headers) as response:
            return list(await response.json())

    async def control(self, method: str, path: str, body: object = None) -> None:
        async with self.session.request(method, f"/_replay/{path}", json=body) as response:
            assert response.status < 300, await response.text()

    async def fault(self, kind: str, path: str, **fields: Any) -> None:
        rule = {"match": {"path": f"/{path}"}, "fault": {"kind": kind} | fields}
        await self.control("POST", "faults", [rule])

    async def listing(self, **query: str) -> ElementTree.Element:
        async with self.session.get("/data.binance.vision", params=query) as response:
            assert response.status == 200
            return parsed(await response.text())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def venue() -> AsyncIterator[RunningVenue]:
    settings = VenueSettings(recordings=FOLDER)
    async with running_venue(settings, clock_ms=lambda: NOW_MS) as venue:
        yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def client(venue: RunningVenue) -> AsyncIterator[Client]:
    venue.state.faults.clear()
    venue.state.forgive()
    venue.state.audit.clear()
    venue.state.clock.step(skew_ms=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(venue.url, timeout=timeout) as session:
        yield Client(session, venue)


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 (the replay's own)


def found(root: ElementTree.Element, path: str) -> list[str]:
    return [element.text or "" for element in root.findall(path.replace("/", f"/{SPACE}"))]


def csv_of(row: list[Any]) -> str:
    return ",".join(map(str, row))


def csv_of_agg(row: dict[str, Any]) -> str:
    return csv_of([row[key] for key in ("a", "p", "q", "f", "l", "T", "m", "M")])


@pytest.mark.parametrize("date", ["2024-05-05", "2025-02-03", "2023-03-24"])
async def test_a_day_of_candles_equals_rest_but_for_the_unit(client: Client, date: str) -> None:
    lines = await client.lines(f"{KLINES}/1m/ETHUSDT-1m-{date}.zip")
    start_ms = moment_ms(date)
    unit = "MICROSECOND" if date >= "2025" else "MILLISECOND"
    rows = []
    for first_ms in (start_ms, start_ms + DAY_MS // 2):
        rows += await client.rest(
            f"klines?symbol=ETHUSDT&interval=1m&startTime={first_ms}"
            f"&endTime={first_ms + DAY_MS // 2 - 1}&limit=1000",
            **{"X-MBX-TIME-UNIT": unit},
        )
    assert lines == [csv_of(row) for row in rows]
    assert lines[0].split(",")[6].endswith("999999" if date >= "2025" else "59999")


@pytest.mark.parametrize("name", ["1h", "1d", "3d", "1w", "1mo"])
async def test_a_month_of_candles_has_those_that_open_in_it(client: Client, name: str) -> None:
    lines = await client.lines(
        f"data/spot/monthly/klines/ETHUSDT/{name}/ETHUSDT-{name}-2024-02.zip"
    )
    interval = {"1mo": "1M"}.get(name, name)
    start_ms, end_ms = moment_ms("2024-02-01"), moment_ms("2024-03-01")
    rows = await client.rest(
        f"klines?symbol=ETHUSDT&interval={interval}&startTime={start_ms}&endTime={end_ms - 1}"
        "&limit=1000"
    )
    assert lines == [csv_of(row) for row in rows]


async def test_a_day_of_seconds_rolls_up_to_its_minutes(client: Client) -> None:
    seconds = await client.lines(f"{KLINES}/1s/ETHUSDT-1s-2024-05-05.zip")
    minutes = await client.lines(MAY)
    assert len(seconds) == 86_400
    traded = [sum(int(line.split(",")[8]) for line in seconds[n : n + 60]) for n in (0, 6000)]
    assert traded == [int(minutes[n // 60].split(",")[8]) for n in (0, 6000)]


async def test_a_day_of_aggregate_trades_equals_rest(client: Client) -> None:
    lines = await client.lines(AGG)
    ids = [int(line.split(",")[0]) for line in lines]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    rows = await client.rest(f"aggTrades?symbol=QUIETUSDT&fromId={ids[0]}&limit=1000")
    assert lines[:1000] == [csv_of_agg(row) for row in rows]
    last = await client.rest(f"aggTrades?symbol=QUIETUSDT&fromId={ids[-1]}&limit=2")
    assert [moment // DAY_MS for moment in (last[0]["T"], last[1]["T"])] == [19848, 19849]


async def test_a_day_of_trades_equals_rest(client: Client) -> None:
    lines = await client.lines(AGG.replace("aggTrades", "trades"))
    first_id = lines[0].split(",")[0]
    rows = await client.rest(f"historicalTrades?symbol=QUIETUSDT&fromId={first_id}&limit=1000")
    assert lines[:1000] == [csv_of(list(row.values())) for row in rows]


@pytest.mark.skipif(FOLDER is None, reason="no recorded data beside this checkout")
async def test_a_recorded_file_is_served_byte_for_byte(client: Client) -> None:
    assert FOLDER is not None
    name = "BTCUSDT-1m-2020-01-01.zip"
    key = f"data/spot/daily/klines/BTCUSDT/1m/{name}"
    _, packed, headers = await client.get(key)
    assert packed == (FOLDER / "archive" / name).read_bytes()
    assert headers["X-Replay-Source"] == "recorded"
    _, line, _ = await client.get(f"{key}.CHECKSUM")
    assert line == (FOLDER / "archive" / f"{name}.CHECKSUM").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize(
    "key",
    [
        "data/spot/daily/klines/ETHUSDT/3d/ETHUSDT-3d-2024-05-05.zip",
        "data/spot/daily/klines/ETHUSDT/1mo/ETHUSDT-1mo-2024-05-05.zip",
        "data/spot/monthly/klines/ETHUSDT/1M/ETHUSDT-1M-2024-05.zip",
        "data/spot/daily/klines/ethusdt/1m/ethusdt-1m-2024-05-05.zip",
        "data/spot/daily/klines/ETHUSDT/1m/ETHUSDT-1m-2024-02-30.zip",
        "data/spot/daily/klines/ETHUSDT/1m/ETHUSDT-1m-2017-08-16.zip",
        "data/spot/daily/klines/BREAKUSDT/1m/BREAKUSDT-1m-2022-11-29.zip",
        "data/spot/daily/klines/USDCUSDT/1m/USDCUSDT-1m-2022-12-24.zip",
        "data/spot/daily/klines/ETHUSDT/1m/ETHUSDT-1m-2026-11-21.zip",
    ],
)
async def test_a_file_that_is_not_there_is_404_in_s3s_words(client: Client, key: str) -> None:
    for suffix in ("", ".CHECKSUM"):
        status, body, headers = await client.get(f"{key}{suffix}")
        assert (status, headers["Content-Type"]) == (404, "application/xml")
        assert parsed(body.decode()).findtext("Code") == "NoSuchKey"


async def test_yesterdays_file_appears_hours_after_midnight(client: Client) -> None:
    key = f"{KLINES}/1h/ETHUSDT-1h-2026-11-20.zip"
    midnight = moment_ms("2026-11-21")
    await client.control("PUT", "clock", {"now_ms": midnight + 5 * HOUR_MS - MINUTE_MS, "rate": 0})
    assert (await client.get(key))[0] == 404
    await client.control("PUT", "clock", {"now_ms": midnight + 5 * HOUR_MS, "rate": 0})
    assert (await client.get(key))[0] == 200


async def test_a_month_appears_on_the_first_monday_of_the_next(client: Client) -> None:
    key = "data/spot/monthly/klines/ETHUSDT/1d/ETHUSDT-1d-2026-09.zip"
    monday = moment_ms("2026-10-05")
    await client.control("PUT", "clock", {"now_ms": monday, "rate": 0})
    assert (await client.get(key))[0] == 404
    await client.control("PUT", "clock", {"now_ms": monday + 5 * HOUR_MS, "rate": 0})
    assert len(await client.lines(key)) == 30


async def test_head_range_and_conditional_requests_work_as_in_s3(client: Client) -> None:
    _, whole, headers = await client.get(MAY)
    tag, modified = headers["ETag"], headers["Last-Modified"]
    assert tag == f'"{hashlib.md5(whole, usedforsecurity=False).hexdigest()}"'
    status, body, headers = await client.get(MAY, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(whole)))
    status, body, headers = await client.get(MAY, Range="bytes=100-199")
    assert (status, body) == (206, whole[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert (await client.get(MAY, Range="bytes=-10"))[1] == whole[-10:]
    assert (await client.get(MAY, Range=f"bytes={len(whole)}-"))[0] == 416
    assert (await client.get(MAY, **{"If-None-Match": tag}))[0] == 304
    assert (await client.get(MAY, **{"If-Modified-Since": modified}))[0] == 304


async def test_the_archive_costs_no_weight_and_is_audited(client: Client) -> None:
    _, _, headers = await client.get(MAY)
    assert "X-MBX-USED-WEIGHT-1M" not in headers
    (request,) = client.venue.state.audit.described()["requests"]  # type: ignore[misc]
    assert (request["path"], request["weight"], request["source"]) == (f"/{MAY}", 0, "synthetic")


async def test_the_listing_has_folders_and_a_thousand_keys_to_a_page(client: Client) -> None:
    root = await client.listing(prefix="data/spot/", delimiter="/")
    assert found(root, "./CommonPrefixes/Prefix") == ["data/spot/daily/", "data/spot/monthly/"]
    root = await client.listing(prefix="data/spot/daily/klines/ETHUSDT/", delimiter="/")
    assert len(found(root, "./CommonPrefixes/Prefix")) == len(Interval) - 3
    prefix, keys, marker, pages = f"{KLINES}/1d/", [], "", 0
    while pages < 10:
        root = await client.listing(prefix=prefix, delimiter="/", marker=marker)
        page, pages = found(root, "./Contents/Key"), pages + 1
        keys += page
        if root.findtext(f"{SPACE}IsTruncated") == "false":
            break
        assert len(page) == 1000
        marker = root.findtext(f"{SPACE}NextMarker") or ""
        assert marker == page[-1]
    assert keys == sorted(set(keys))
    assert keys[0] == f"{prefix}ETHUSDT-1d-2017-08-17.zip"
    assert keys[-1] == f"{prefix}ETHUSDT-1d-2026-11-20.zip.CHECKSUM"
    assert len(keys) == 2 * (moment_ms("2026-11-21") - moment_ms("2017-08-17")) // DAY_MS


async def test_a_listed_file_is_there(client: Client) -> None:
    prefix = "data/spot/monthly/aggTrades/BREAKUSDT/"
    keys = found(await client.listing(prefix=prefix), "./Contents/Key")
    assert keys[-1] == f"{prefix}BREAKUSDT-aggTrades-2022-11.zip.CHECKSUM"
    daily = found(
        await client.listing(prefix="data/spot/daily/klines/USDCUSDT/1d/", marker="x"),
        "./Contents/Key",
    )
    assert daily == []


async def test_a_day_whose_last_rows_are_missing_has_a_right_checksum(client: Client) -> None:
    whole = await client.lines(MAY)
    await client.fault("rows_missing", MAY, rows=100)
    assert await client.lines(MAY) == whole[:-100]


async def test_a_file_issued_again_has_other_rows_and_another_checksum(client: Client) -> None:
    before, (_, old, _) = await client.lines(MAY), await client.get(f"{MAY}.CHECKSUM")
    await client.fault("rows_changed", MAY, rows=3)
    after, (_, new, _) = await client.lines(MAY), await client.get(f"{MAY}.CHECKSUM")
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 3
    assert old != new


async def test_a_month_can_differ_from_its_days_in_a_few_rows(client: Client) -> None:
    month = "data/spot/monthly/klines/ETHUSDT/1h/ETHUSDT-1h-2024-05.zip"
    await client.fault("rows_changed", month, rows=2)
    lines = await client.lines(month)
    rows = await client.rest(
        f"klines?symbol=ETHUSDT&interval=1h&startTime={moment_ms('2024-05-01')}"
        f"&endTime={moment_ms('2024-06-01') - 1}&limit=1000"
    )
    assert sum(a != csv_of(b) for a, b in zip(lines, rows, strict=True)) == 2


@pytest.mark.parametrize(
    ("kind", "is_damaged"),
    [
        ("rows_doubled", lambda rows, whole: len(rows) == len(whole) + 1),
        ("rows_unordered", lambda rows, whole: rows != whole and sorted(rows) == sorted(whole)),
        ("rows_not_numbers", lambda rows, _: sum("x" in row for row in rows) == 1),
        ("rows_off_grid", lambda rows, _: sum(int(r.split(",")[0]) % 60_000 for r in rows) == 7),
        ("rows_wrong_unit", lambda rows, _: all(len(row.split(",")[0]) == 16 for row in rows)),
        ("rows_header", lambda rows, whole: rows[0].startswith("open_time,") and rows[1:] == whole),
    ],
)
async def test_rows_of_a_file_can_lie_under_a_right_checksum(
    client: Client, kind: str, is_damaged: Any
) -> None:
    whole = await client.lines(MAY)
    await client.fault(kind, MAY)
    assert is_damaged(await client.lines(MAY), whole)


@pytest.mark.parametrize("kind", ["zip_cut", "zip_corrupt", "wrong_checksum"])
async def test_a_file_can_disagree_with_its_checksum(client: Client, kind: str) -> None:
    await client.fault(kind, MAY)
    _, packed, _ = await client.get(MAY)
    _, line, _ = await client.get(f"{MAY}.CHECKSUM")
    assert line[:64].decode() != hashlib.sha256(packed).hexdigest()
    assert len(line.split()[0]) == 64
    if kind == "wrong_checksum":
        assert zipfile.ZipFile(io.BytesIO(packed)).testzip() is None
    else:
        with pytest.raises((zipfile.BadZipFile, zlib.error)):
            zipfile.ZipFile(io.BytesIO(packed)).read("ETHUSDT-1m-2024-05-05.csv")


async def test_a_zip_can_be_empty_hold_another_file_or_claim_gigabytes(client: Client) -> None:
    opened = {}
    for kind in ("zip_empty", "zip_other_file", "zip_bomb"):
        client.venue.state.faults.clear()
        await client.fault(kind, MAY)
        _, packed, _ = await client.get(MAY)
        _, line, _ = await client.get(f"{MAY}.CHECKSUM")
        assert line[:64].decode() == hashlib.sha256(packed).hexdigest()
        opened[kind] = zipfile.ZipFile(io.BytesIO(packed)).infolist()
    assert opened["zip_empty"] == []
    assert opened["zip_other_file"][0].filename == "other-ETHUSDT-1m-2024-05-05.csv"
    assert opened["zip_bomb"][0].file_size > 4 * 10**9


@pytest.mark.parametrize(
    ("kind", "status"), [("html200", 200), ("html403", 403), ("empty404", 404)]
)
async def test_the_archive_can_answer_with_something_else(
    client: Client, kind: str, status: int
) -> None:
    await client.fault(kind, "data/spot/daily/*")
    answered, body, _ = await client.get(MAY)
    assert answered == status
    assert not body.startswith(b"PK")


async def test_the_connection_can_break_inside_a_file(client: Client) -> None:
    await client.fault("reset", MAY)
    with pytest.raises(aiohttp.ClientError):
        await client.get(MAY)
