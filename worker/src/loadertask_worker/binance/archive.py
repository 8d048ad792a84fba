"""The venue's public archive: files that are whole by their published checksum, or none at all.

A file that does not match is fetched once more; one that cannot be had is somebody else's to
replace. Small files stay in memory, large ones go to disk where there is a place for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import random
import re
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

import aiohttp

from loadertask_worker import metrics
from loadertask_worker.binance.answers import Answer
from loadertask_worker.binance.archive_rows import ArchiveFileError, ArchiveLostError
from loadertask_worker.binance.proxies import proxy_of
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

log = logging.getLogger(__name__)

SMALL_BYTES = 8 * 1024 * 1024
"""What may be fetched ahead of its turn: several such files wait in memory."""

# One at a time, where no disk takes it.
_MOST_BYTES_IN_MEMORY = 64 * 1024 * 1024
# The largest day of trades is some 200 MB.
_MOST_BYTES = 1024 * 1024 * 1024
_MOST_CHECKSUM_BYTES = 4_096
_CHUNK_BYTES = 128 * 1024
_TRIES = 2
# Where REST stands in for an archive that cannot be reached, there is no reason to wait for long;
# after this time without it, a file is asked for again.
_LONGEST_PATIENCE_S = 15.0
_WITHOUT_IT_S = 60.0
# What the archive may ask to wait where nothing stands in for it, and how often in a row.
_LONGEST_REST_S = 300.0
_RESTS_IN_A_ROW = 5
_CONNECT_S = 10.0
_READ_S = 10.0
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})\s")


@dataclass(frozen=True, slots=True)
class Large:
    """A file of ``size_bytes`` that was not fetched: too large to be fetched ahead of its turn."""

    size_bytes: int


class _MissingError(Exception):
    """404: not published, or not yet."""


class Archive:
    """The files below one address."""

    def __init__(self, session: aiohttp.ClientSession, patience_s: float) -> None:
        self._session = session
        self._patience_s = patience_s
        self._lost, self._lost_until_s = "", 0.0

    async def fetch(
        self, file: str, *, small_only: bool, is_needed: bool = False
    ) -> IO[bytes] | Large | None:
        """The zip ``file`` (a path without ending), verified; None where there is no such file.

        Args:
            file: below the archive's address.
            small_only: a large one is not fetched, only said to be large.
            is_needed: nothing stands in for it: it is asked for with all the patience there is,
                and also where the archive gave no answer a moment ago.

        Raises:
            ArchiveFileError: it cannot be had whole.

        """
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._verified(file, small_only=small_only, is_needed=is_needed)
            except _MissingError:
                metrics.ARCHIVE_FILES.labels("absent").inc()
                return None
            except ArchiveFileError as error:
                if not tries_left or isinstance(error, ArchiveLostError):
                    raise
                log.warning("%s: %s; fetching it again", file, error)
                metrics.ARCHIVE_FILES.labels("fetched_again").inc()
        raise AssertionError("the last try returns or raises")

    async def _verified(self, file: str, *, small_only: bool, is_needed: bool) -> IO[bytes] | Large:
        wanted = await self._checksum(f"{file}.zip.CHECKSUM", is_needed=is_needed)
        most_bytes = SMALL_BYTES if small_only else _MOST_BYTES
        body = await self._get(f"{file}.zip", most_bytes, is_needed=is_needed)
        if isinstance(body, Large):
            if small_only:
                return body
            raise ArchiveFileError(f"{body.size_bytes} bytes are too many")
        if body.sha256 != wanted:
            body.close()
            raise ArchiveFileError(f"its sha256 is {body.sha256}, and should be {wanted}")
        return body.rewound()

    async def _checksum(self, path: str, *, is_needed: bool) -> str:
        body = await self._get(path, _MOST_CHECKSUM_BYTES, is_needed=is_needed)
        text = "" if isinstance(body, Large) else body.text()
        if not (found := _CHECKSUM.match(text)):
            raise ArchiveFileError(f"its checksum file holds {text[:80]!r}")
        return found[1].lower()

    async def _get(self, path: str, most_bytes: int, *, is_needed: bool) -> _Body | Large:
        """GET with patience; raises _MissingError for a 404."""
        longest_s = self._patience_s if is_needed else min(self._patience_s, _LONGEST_PATIENCE_S)
        tries = _Tries(Patience(longest_s), _LONGEST_REST_S if is_needed else longest_s)
        while True:
            if not is_needed and time.monotonic() < self._lost_until_s:
                raise ArchiveLostError(f"the archive gives no answer: {self._lost}")
            begun_s = time.monotonic()
            try:
                answer = await self._answer(path, most_bytes)
            except ValueError as error:
                message = f"is no address: {error}"
                raise ConfigurationError.of("LOADER_ARCHIVE_URL", message) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                rest_s = _asked_to_rest_s(error)
                delay_s = tries.delay_s(time.monotonic() - begun_s, rest_s)
                what = f"{type(error).__name__} {error}".rstrip()
                if delay_s is None:
                    self._lost = what
                    self._lost_until_s = time.monotonic() + max(rest_s, _WITHOUT_IT_S)
                    raise ArchiveLostError(f"the archive gives no answer: {what}") from error
                log.warning("%s: %s; again in %.1f s", path, what, delay_s)
                await asyncio.sleep(delay_s)
            else:
                self._lost_until_s = 0.0
                return answer

    async def _answer(self, path: str, most_bytes: int) -> _Body | Large:
        async with self._session.get(path) as response:
            status = response.status
            if status == HTTPStatus.NOT_FOUND:
                raise _MissingError
            if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
                response.raise_for_status()
            if status != HTTPStatus.OK:
                raise ArchiveFileError(f"HTTP {status}")
            if (size := response.content_length or 0) > most_bytes:
                return Large(size)
            return await _read(response, most_bytes)


@dataclass(slots=True)
class _Tries:
    """How often a file is asked for; a rest that the archive asks for costs no patience."""

    patience: Patience
    longest_rest_s: float
    rests: int = 0

    def delay_s(self, took_s: float, rest_s: float) -> float | None:
        """Seconds to wait after a failure, at which ``rest_s`` were asked for; None: no longer."""
        if not rest_s:
            return self.patience.delay_after_failure(took_s, random.random())  # noqa: S311
        self.rests += 1
        if rest_s > self.longest_rest_s or self.rests > _RESTS_IN_A_ROW:
            return None
        return rest_s


def _asked_to_rest_s(error: Exception) -> float:
    """What an answer asks to wait (`Retry-After`), in seconds; 0 where it does not."""
    if not isinstance(error, aiohttp.ClientResponseError) or error.headers is None:
        return 0.0
    return Answer(error.status, error.headers, b"").retry_after_s or 0.0


class _Body:
    """A body as it arrives: hashed on the way, in memory, or on disk once it is large."""

    def __init__(self) -> None:
        self._file: IO[bytes] = io.BytesIO()
        self._hash = hashlib.sha256()
        self._size = 0
        self._is_in_memory = True

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def text(self) -> str:
        return self.rewound().read().decode("utf-8", "replace")

    def rewound(self) -> IO[bytes]:
        with self._needing_room():  # for what is still in its buffer
            self._file.seek(0)
        return self._file

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._size += len(chunk)
        metrics.ARCHIVE_BYTES.inc(len(chunk))
        with self._needing_room():
            if self._is_in_memory and self._size > SMALL_BYTES:
                self._move_to_disk()
            self._file.write(chunk)

    def _move_to_disk(self) -> None:
        try:
            on_disk = tempfile.TemporaryFile()  # noqa: SIM115
        except OSError as error:
            if self._size > _MOST_BYTES_IN_MEMORY:
                what = f"it is large, and there is no temporary folder: {error}"
                raise ArchiveFileError(what) from error
            return
        assert isinstance(self._file, io.BytesIO)  # noqa: S101
        in_memory, self._file, self._is_in_memory = self._file, on_disk, False
        on_disk.write(in_memory.getbuffer())

    @contextmanager
    def _needing_room(self) -> Iterator[None]:
        """Tell a full disk from an archive that gives no answer."""
        try:
            yield
        except OSError as error:
            self.close()
            raise ArchiveFileError(f"there is no room for it: {error}") from error


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> _Body | Large:
    body = _Body()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body.write(chunk)
        if body.size > most_bytes:
            body.close()
            return Large(body.size)
    return body


@asynccontextmanager
async def binance_archive(base_url: str, patience_s: float) -> AsyncIterator[Archive]:
    """The archive at ``base_url``; honours the proxy variables of the environment."""
    session = aiohttp.ClientSession(
        base_url=base_url.rstrip("/") + "/",
        proxy=proxy_of(base_url),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_READ_S),
        # As it lies there: what is hashed is what is read.
        headers={"User-Agent": "loadertask-worker", "Accept-Encoding": "identity"},
        auto_decompress=False,
    )
    async with session:
        yield Archive(session, patience_s)
