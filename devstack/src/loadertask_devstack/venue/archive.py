"""The routes of the archive: files with their checksums, and the listing. No limits, no weights.

A file is a zip or its ``.CHECKSUM``; both answer HEAD, Range and conditional requests as S3 does.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from aiohttp import web

from loadertask_contract.time_range import from_epoch_ms
from loadertask_devstack.venue.archive_listing import ListingQuery, listing, no_such_key
from loadertask_devstack.venue.archive_names import LISTING_PATH, ROOT, ArchiveFile, file_of
from loadertask_devstack.venue.archive_store import ArchiveStore, StoredFile
from loadertask_devstack.venue.archive_zip import broken
from loadertask_devstack.venue.faults import SUM_SUFFIX, Fault, FaultKind
from loadertask_devstack.venue.rest import FAULT, SOURCE_HEADER, STATE

_STORE = web.AppKey("archive", ArchiveStore)


def install(app: web.Application) -> None:
    """Add the archive to an application that holds the state under STATE."""
    app.cleanup_ctx.append(_store)
    app.add_routes([web.get(f"/{ROOT}{{rest:.*}}", _file), web.get(LISTING_PATH, _listing)])


async def _store(app: web.Application) -> AsyncIterator[None]:
    app[_STORE] = store = ArchiveStore(app[STATE])
    yield
    await asyncio.to_thread(store.close)


async def _file(request: web.Request) -> web.Response:
    key = request.path.removeprefix("/")
    is_sum = key.endswith(SUM_SUFFIX)
    file, fault = file_of(key.removesuffix(SUM_SUFFIX)), request.get(FAULT)
    if file is None or not _is_there(request, file):
        return _missing(key)
    stored = await request.app[_STORE].file(file, fault)
    if stored is None:
        return _missing(key)
    modified = from_epoch_ms(file.appears_ms(request.app[STATE].settings.archive_delay_h))
    body = _sum_line(stored, file, fault) if is_sum else await _zip(stored, fault)
    tag = hashlib.md5(body, usedforsecurity=False).hexdigest() if is_sum else stored.sums.md5
    kind = "binary/octet-stream" if is_sum else "application/zip"
    response = _conditional(request, body, f'"{tag}"', modified)
    response.headers["Content-Type"] = kind
    response.headers[SOURCE_HEADER] = stored.source.label
    return response


async def _zip(stored: StoredFile, fault: Fault | None) -> bytes:
    packed = await asyncio.to_thread(stored.path.read_bytes)
    return broken(packed, fault.kind) if fault else packed


def _sum_line(stored: StoredFile, file: ArchiveFile, fault: Fault | None) -> bytes:
    sha256 = stored.sums.sha256
    if fault and fault.kind is FaultKind.WRONG_CHECKSUM:
        sha256 = sha256[::-1]
    return f"{sha256}  {file.stem}.zip".encode()


def _is_there(request: web.Request, file: ArchiveFile) -> bool:
    state = request.app[STATE]
    return file.has_rows and state.clock() >= file.appears_ms(state.settings.archive_delay_h)


def _missing(key: str) -> web.Response:
    return web.Response(
        status=404, body=no_such_key(key).encode(), headers={"Content-Type": "application/xml"}
    )


def _conditional(request: web.Request, body: bytes, tag: str, modified: datetime) -> web.Response:
    """The whole, a part of it, or nothing where the client has it already."""
    headers = {
        "ETag": tag,
        "Last-Modified": format_datetime(modified, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    if _is_known(request, tag, modified):
        return web.Response(status=304, headers=headers)
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None)  # not a range of bytes: S3 answers with the whole
    if (asked.start, asked.stop) == (None, None):
        return web.Response(body=body, headers=headers)
    start, stop, _ = asked.indices(len(body))
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], headers=headers)


def _is_known(request: web.Request, tag: str, modified: datetime) -> bool:
    if wanted := request.headers.get("If-None-Match"):
        return wanted in (tag, "*")
    since = request.headers.get("If-Modified-Since")
    return since is not None and modified <= parsedate_to_datetime(since)


async def _listing(request: web.Request) -> web.Response:
    state, query = request.app[STATE], request.query
    most = query.get("max-keys", "1000")
    asked = ListingQuery(
        prefix=query.get("prefix", ""),
        marker=query.get("marker", ""),
        delimiter=query.get("delimiter", ""),
        max_keys=int(most) if most.isdecimal() else 1000,
    )
    text = listing(asked, state.clock(), state.settings.archive_delay_h)
    return web.Response(body=text.encode(), headers={"Content-Type": "application/xml"})
