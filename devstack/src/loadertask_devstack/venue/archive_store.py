"""Makes the archive's files on demand, in a thread of its own, and keeps the latest on disk.

The thread has its own histories and tapes, for those of the requests are not to be shared.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from loadertask_devstack.venue.archive_names import ArchiveFile, FileKind
from loadertask_devstack.venue.archive_rows import chunks
from loadertask_devstack.venue.archive_zip import ZipSums, sums_of, write_zip
from loadertask_devstack.venue.faults import FILE_FAULTS, Fault
from loadertask_devstack.venue.history import History, Source
from loadertask_devstack.venue.state import VenueState
from loadertask_devstack.venue.symbols import Symbol
from loadertask_devstack.venue.trade_tape import TradeTape

_KEPT_BYTES = 512 * 1024 * 1024
_KEPT_SYMBOLS = 4


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is there, what is said of it and where its rows come from."""

    path: Path
    sums: ZipSums
    source: Source
    is_original: bool = False


class ArchiveStore:
    """The files of one replay; each is made once while it is kept."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._folder = tempfile.TemporaryDirectory(prefix="venue-archive-")
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
        self._made: OrderedDict[str, asyncio.Task[StoredFile | None]] = OrderedDict()
        self._kept_bytes, self._version = 0, state.version
        self._tapes: OrderedDict[str, tuple[History, TradeTape]] = OrderedDict()
        self._numbers = itertools.count()

    async def file(self, file: ArchiveFile, fault: Fault | None) -> StoredFile | None:
        """The file, with a fault in its content; None where it would have no row."""
        if self._version != self._state.version:
            self._forget()
        if fault and fault.kind not in FILE_FAULTS:
            fault = None
        name = f"{file.key} {fault.model_dump_json() if fault else ''}"
        task = self._made.get(name)
        if task is None:
            loop = asyncio.get_running_loop()
            task = self._made[name] = loop.create_task(self._kept(file, fault))
        self._made.move_to_end(name)
        try:
            return await asyncio.shield(task)
        finally:
            if task.done() and (task.cancelled() or task.exception()):
                self._made.pop(name, None)  # the next request makes it again

    def close(self) -> None:
        """End the thread and remove the files."""
        self._maker.shutdown(cancel_futures=True)
        self._folder.cleanup()

    async def _kept(self, file: ArchiveFile, fault: Fault | None) -> StoredFile | None:
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._maker, self._make, file, fault)
        if stored and not stored.is_original:
            self._kept_bytes += stored.sums.size
        while self._kept_bytes > _KEPT_BYTES and self._drop_oldest():
            pass
        return stored

    def _drop_oldest(self) -> bool:
        for name, task in self._made.items():
            is_made = task.done() and not task.cancelled() and not task.exception()
            stored = task.result() if is_made else None
            if stored and not stored.is_original:
                del self._made[name]
                stored.path.unlink(missing_ok=True)
                self._kept_bytes -= stored.sums.size
                return True
        return False

    def _forget(self) -> None:
        while self._drop_oldest():
            pass
        self._made.clear()
        self._tapes.clear()
        self._version = self._state.version

    def _make(self, file: ArchiveFile, fault: Fault | None) -> StoredFile | None:
        original = None if fault else self._original(file)
        if original:
            return StoredFile(original, sums_of(original), Source.RECORDED, is_original=True)
        path = Path(self._folder.name) / f"{next(self._numbers)}.zip"
        sources: set[Source] = set()

        def lines() -> Iterator[list[str]]:
            for chunk in chunks(file, *self._data(file.symbol)):
                sources.add(chunk.source)
                yield chunk.lines

        if not write_zip(path, file.stem, lines(), fault):
            path.unlink()
            return None
        return StoredFile(path, sums_of(path), reduce(or_, sources, Source(0)))

    def _original(self, file: ArchiveFile) -> Path | None:
        if file.is_monthly or file.kind is not FileKind.KLINES:
            return None
        wanted = (".zip", file.symbol.name, file.interval, file.days)
        return next(
            (
                recording.path
                for recording in self._state.recordings
                if (recording.path.suffix, recording.symbol, recording.interval, recording.days)
                == wanted
            ),
            None,
        )

    def _data(self, symbol: Symbol) -> tuple[History, TradeTape]:
        if symbol.name not in self._tapes:
            history = self._state.new_history(symbol)
            self._tapes[symbol.name] = history, self._state.new_tape(symbol, history)
            if len(self._tapes) > _KEPT_SYMBOLS:
                self._tapes.popitem(last=False)
        return self._tapes[symbol.name]
