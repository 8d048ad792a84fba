"""The replay's archive with holes in its files: sound zips with right checksums that lack rows."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

_CHECKSUM = ".CHECKSUM"


@dataclass(frozen=True, slots=True)
class MissingRows:
    """Rows that every file lacks: those whose column holds one of ``values``."""

    column: int
    values: range


@asynccontextmanager
async def holed_archive(replay_url: str, *missing: MissingRows) -> AsyncIterator[str]:
    """The address of an archive that has the replay's files without the rows that are missing."""

    async def answer(request: web.Request) -> web.Response:
        path = request.path.removesuffix(_CHECKSUM)
        async with session.get(f"{replay_url}{path}") as response:
            if response.status != 200:
                return web.Response(status=response.status)
            body = _holed(await response.read(), missing)
        if request.path == path:
            return web.Response(body=body)
        return web.Response(text=f"{hashlib.sha256(body).hexdigest()}  {path.split('/')[-1]}")

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answer)])
    async with aiohttp.ClientSession() as session, TestServer(app) as server:
        yield str(server.make_url("/"))


def _holed(body: bytes, missing: tuple[MissingRows, ...]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as whole:
        (name,) = whole.namelist()
        lines = whole.read(name).decode().splitlines(keepends=True)
    kept = [line for line in lines if not any(_lacks(line, each) for each in missing)]
    written = io.BytesIO()
    # The same rows make the same bytes.
    with zipfile.ZipFile(written, "w") as holed:
        holed.writestr(zipfile.ZipInfo(name), "".join(kept))
    return written.getvalue()


def _lacks(line: str, missing: MissingRows) -> bool:
    return int(line.split(",")[missing.column]) in missing.values
