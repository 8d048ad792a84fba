"""Starts programs that outlive the command line, and ends them by their own pid only.

A process is known by its pid and its start time (/proc), so a pid that the kernel has given to
somebody else is never signalled. Knows no program in particular.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_POLL_S = 0.05
_KILL_TIMEOUT_S = 10.0
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Process:
    """A started program."""

    name: str
    pid: int
    start_ticks: int
    """Clock ticks from boot to its start: field 22 of /proc/PID/stat."""
    log: Path
    record: Path

    def is_running(self) -> bool:
        """Whether this very process, not another one of the same pid, still runs."""
        with contextlib.suppress(ChildProcessError):  # not our child: init reaps it
            os.waitpid(self.pid, os.WNOHANG)
        return _start_ticks(self.pid) == self.start_ticks

    def stop(self, timeout_s: float) -> None:
        """Ask it to end (TERM), end it (KILL) after the timeout; return when it is gone.

        Raises DevstackError where even KILL does not end it.
        """
        self._signal(signal.SIGTERM)
        if _holds_within(lambda: not self.is_running(), timeout_s):
            self.record.unlink(missing_ok=True)
        else:
            self.kill()

    def kill(self) -> None:
        """End it at once (KILL); return when it is gone. Raises DevstackError where it stays."""
        self._signal(signal.SIGKILL)
        if not _holds_within(lambda: not self.is_running(), _KILL_TIMEOUT_S):
            raise DevstackError(
                f"{self.name} (pid {self.pid}) is still there {_KILL_TIMEOUT_S:.0f} s after KILL",
                f"see what it waits for: cat /proc/{self.pid}/stack",
            )
        self.record.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start(
    directory: Path, name: str, command: Sequence[str], *, environ: Mapping[str, str] | None = None
) -> Process:
    """Start a program in a session of its own, with output in `directory`/logs/`name`.log.

    The log of the run before is kept as `name`.previous.log. `environ` replaces the environment.
    Raises DevstackError where the program is not found or one of this name runs already.
    """
    if running := find(directory, name):
        raise DevstackError(
            f"{name} already runs as pid {running.pid}", "stop it before it is started again"
        )
    environment = dict(os.environ if environ is None else environ)
    program = _program(command[0], environment.get("PATH"))
    log = _fresh_log(directory, name)
    pid = os.posix_spawn(
        program,
        list(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and that is inherited
    )
    started = Process(name, pid, _start_ticks(pid) or 0, log, _record_path(directory, name))
    _write_record(started)
    return started


def find(directory: Path, name: str) -> Process | None:
    """The running process of that name, started by whichever command; None if there is none."""
    path = _record_path(directory, name)
    try:
        record = json.loads(path.read_text())
        found = Process(
            name, record["pid"], record["start_ticks"], _log_path(directory, name), path
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return found if found.is_running() else None


def wait_until(
    predicate: Callable[[], bool], timeout_s: float, what: str, process: Process | None = None
) -> None:
    """Poll until the predicate holds; raises DevstackError otherwise, with the log's tail.

    `what` names what is waited for ("the API server answers /readyz"). With a process, its early
    end ends the wait at once.
    """

    def is_over() -> bool:
        return predicate() or (process is not None and not process.is_running())

    over = _holds_within(is_over, timeout_s)
    if predicate():
        return
    if process is None:
        raise DevstackError(f"waited {timeout_s:g} s in vain: {what}", "look at the logs")
    reason = f"{process.name} ended before" if over else f"waited {timeout_s:g} s in vain:"
    raise DevstackError(
        f"{reason} {what}; end of {process.log}:\n{log_tail(process.log)}",
        "the log says why; start again when that is mended",
    )


def log_tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log; says so where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(empty log)"


def own_command() -> str:
    """How a person calls this program from here."""
    return f"{os.path.relpath(sys.executable)} -m loadertask_devstack"


def _holds_within(predicate: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _start_ticks(pid: int) -> int | None:
    """When the process of that pid started; None where there is none, or only its zombie.

    The first thread of a killed program may be a zombie while others still hold its ports.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    threads, started = int(fields[16]), int(fields[18])
    return None if state in "ZX" and threads <= 1 else started


def _program(name: str, search_path: str | None) -> str:
    program = shutil.which(name, path=search_path)
    if program is None:
        raise DevstackError(
            f"the program {name} is not there", f"install {name}, or put it in PATH"
        )
    return program


def _fresh_log(directory: Path, name: str) -> Path:
    log = _log_path(directory, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{name}.previous.log"))
    return log


def _write_record(process: Process) -> None:
    process.record.parent.mkdir(parents=True, exist_ok=True)
    draft = process.record.with_suffix(".draft")
    draft.write_text(json.dumps({"pid": process.pid, "start_ticks": process.start_ticks}))
    draft.replace(process.record)


def _log_path(directory: Path, name: str) -> Path:
    return directory / "logs" / f"{name}.log"


def _record_path(directory: Path, name: str) -> Path:
    return directory / "run" / f"{name}.json"
