"""The archive's client against a server that has what the replay has not: large files, silence."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadertask_worker.binance import archive as client
from loadertask_worker.binance.archive import SMALL_BYTES, Archive, Large, binance_archive
from loadertask_worker.binance.archive_rows import ArchiveFileError, ArchiveLostError
from loadertask_worker.errors import ConfigurationError

pytestmark = pytest.mark.integration

LARGE = bytes(SMALL_BYTES + 1)


class Files:
    """A server of files; ``down`` ones answer 503, ``chunked`` ones do not say their length."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down: set[str] = set()
        # Seconds that it asks to wait, one for each answer until there are none left.
        self.rests_s: list[int] = []
        self.bodies: dict[str, bytes] = {}
        app = web.Application()
        app.add_routes([web.get("/{path:.*}", self._answer)])
        self.server = TestServer(app)

    def put(self, name: str, body: bytes) -> None:
        self.bodies[f"{name}.zip"] = body
        self.bodies[f"{name}.zip.CHECKSUM"] = hashlib.sha256(body).hexdigest().encode() + b"  x"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(path)
        if path in self.down:
            return web.Response(status=503)
        if self.rests_s:
            return web.Response(status=429, headers={"Retry-After": str(self.rests_s.pop())})
        body = self.bodies[path]
        if not path.startswith("chunked"):
            return web.Response(body=body)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        return response


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    served = Files()
    async with served.server:
        yield served


@pytest.fixture
async def archive(files: Files) -> AsyncIterator[Archive]:
    async with binance_archive(str(files.server.make_url("/")), patience_s=1.5) as opened:
        yield opened


@pytest.mark.parametrize("name", ["large", "chunked"])
async def test_a_large_file_is_not_fetched_ahead_and_lies_on_disk_in_its_turn(
    files: Files, archive: Archive, name: str
) -> None:
    files.put(name, LARGE)
    assert await archive.fetch(name, small_only=True) == Large(len(LARGE))
    fetched = await archive.fetch(name, small_only=False)
    assert fetched is not None
    assert not isinstance(fetched, Large | io.BytesIO)
    with fetched:
        assert fetched.read() == LARGE


async def test_without_a_temporary_folder_a_large_file_stays_in_memory_up_to_a_bound(
    files: Files, archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    files.put("large", LARGE)
    fetched = await archive.fetch("large", small_only=False)
    assert isinstance(fetched, io.BytesIO)
    monkeypatch.setattr(client, "_MOST_BYTES_IN_MEMORY", SMALL_BYTES)
    with pytest.raises(ArchiveFileError, match="there is no temporary folder"):
        await archive.fetch("large", small_only=False)


@pytest.mark.parametrize("name", ["large", "chunked"])
async def test_a_full_disk_costs_the_file_and_not_the_archive(
    files: Files, archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("r+b"))  # noqa: SIM115
    files.put(name, LARGE)
    files.put("small", b"small")
    with pytest.raises(ArchiveFileError, match="there is no room for it"):
        await archive.fetch(name, small_only=False)
    assert files.asked.count(f"{name}.zip") == 2
    fetched = await archive.fetch("small", small_only=False)
    assert isinstance(fetched, io.BytesIO)


async def test_an_archive_that_is_down_is_not_asked_again(files: Files, archive: Archive) -> None:
    files.put("a", b"a")
    files.down.add("a.zip")
    with pytest.raises(ArchiveFileError, match="gives no answer: ClientResponseError 503"):
        await archive.fetch("a", small_only=True)
    asked = len(files.asked)
    assert asked > 2
    with pytest.raises(ArchiveFileError, match="gives no answer"):
        await archive.fetch("b", small_only=True)
    assert len(files.asked) == asked


async def test_an_archive_that_is_down_is_asked_again_where_nothing_stands_in_for_it(
    files: Files, archive: Archive
) -> None:
    files.put("a", b"a")
    files.down.add("a.zip")
    for _ in range(2):
        with pytest.raises(ArchiveLostError, match="gives no answer: ClientResponseError 503"):
            await archive.fetch("a", small_only=True, is_needed=True)
    files.down.clear()
    with pytest.raises(ArchiveLostError):
        await archive.fetch("a", small_only=True)
    assert await archive.fetch("a", small_only=True, is_needed=True)
    assert await archive.fetch("a", small_only=True), "it has answered"


async def test_an_archive_that_was_down_is_asked_again_after_some_time(
    files: Files, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_WITHOUT_IT_S", 0.0)
    files.put("a", b"a")
    files.rests_s = [2]
    with pytest.raises(ArchiveLostError, match="ClientResponseError 429"):
        await archive.fetch("a", small_only=True)
    assert len(files.asked) == 1, "it asked for more than REST is waited for"
    with pytest.raises(ArchiveLostError):
        await archive.fetch("a", small_only=True)
    assert len(files.asked) == 1
    files.put("b", b"b")
    files.down.add("b.zip")
    with pytest.raises(ArchiveLostError):
        await archive.fetch("b", small_only=True, is_needed=True)
    assert await archive.fetch("a", small_only=True)


async def test_a_rest_that_the_archive_asks_for_costs_no_patience(
    files: Files, archive: Archive
) -> None:
    files.put("a", b"a")
    files.rests_s = [1, 1]
    assert await archive.fetch("a", small_only=True)
    files.rests_s = [2]
    assert await archive.fetch("a", small_only=True, is_needed=True)
    assert files.rests_s == []


async def test_a_checksum_that_is_none_is_an_error(files: Files, archive: Archive) -> None:
    files.put("a", b"a")
    files.bodies["a.zip.CHECKSUM"] = b"<html>"
    with pytest.raises(ArchiveFileError, match="its checksum file holds '<html>'"):
        await archive.fetch("a", small_only=True)


async def test_an_address_that_is_none_is_a_wrong_configuration() -> None:
    async with binance_archive(f"http://{'a' * 64}.test", patience_s=0.1) as archive:
        with pytest.raises(ConfigurationError, match="LOADER_ARCHIVE_URL"):
            await archive.fetch("a", small_only=True)
