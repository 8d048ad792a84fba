from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from loadertask_devstack import processes
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.processes import Process

SLEEPER = ("sleep", "60")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
    "while True: signal.pause()",
)

HEADLESS = (
    sys.executable,
    "-c",
    "import ctypes, threading, time\n"
    "threading.Thread(target=time.sleep, args=(600,)).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)",
)
"""Its first thread ends, as any may be the first to end of a program that is killed."""


def wait_for_log(process: Process, text: str) -> None:
    processes.wait_until(lambda: text in process.log.read_text(), 60, f"{text} in the log", process)


def wait_for_end(process: Process) -> None:
    processes.wait_until(lambda: not process.is_running(), 60, "the process ends")


def test_a_process_runs_until_it_is_stopped_and_leaves_no_record(tmp_path: Path) -> None:
    sleeper = processes.start(tmp_path, "sleeper", SLEEPER)
    assert sleeper.is_running()
    assert os.getsid(sleeper.pid) == sleeper.pid
    assert processes.find(tmp_path, "sleeper") == sleeper
    sleeper.stop(timeout_s=10)
    assert not sleeper.is_running()
    assert processes.find(tmp_path, "sleeper") is None
    assert not sleeper.record.exists()


def test_a_process_deaf_to_term_is_killed_after_the_timeout(tmp_path: Path) -> None:
    deaf = processes.start(tmp_path, "deaf", STUBBORN)
    wait_for_log(deaf, "deaf")
    before_s = time.monotonic()
    deaf.stop(timeout_s=0.3)
    assert not deaf.is_running()
    assert 0.3 <= time.monotonic() - before_s < 10


def test_a_process_runs_as_long_as_one_of_its_threads_does(tmp_path: Path) -> None:
    headless = processes.start(tmp_path, "headless", HEADLESS)
    stat = Path(f"/proc/{headless.pid}/stat")
    processes.wait_until(lambda: ") Z " in stat.read_text(), 60, "the first thread has ended")
    assert headless.is_running()
    headless.kill()
    assert not headless.is_running()


def test_a_reused_pid_is_not_found_and_never_signalled(tmp_path: Path) -> None:
    innocent = processes.start(tmp_path, "innocent", SLEEPER)
    record = {"pid": innocent.pid, "start_ticks": innocent.start_ticks - 1}
    stale = tmp_path / "run" / "stale.json"
    stale.write_text(json.dumps(record))
    assert processes.find(tmp_path, "stale") is None
    Process("stale", innocent.pid, innocent.start_ticks - 1, innocent.log, stale).stop(timeout_s=1)
    assert innocent.is_running()
    innocent.kill()


@pytest.mark.parametrize("content", ["", "no json", "{}", '{"pid": 1}'])
def test_a_broken_record_means_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x.json").write_text(content)
    assert processes.find(tmp_path, "x") is None


def test_a_second_start_under_the_same_name_is_refused(tmp_path: Path) -> None:
    sleeper = processes.start(tmp_path, "sleeper", SLEEPER)
    with pytest.raises(DevstackError, match=f"already runs as pid {sleeper.pid}"):
        processes.start(tmp_path, "sleeper", SLEEPER)
    sleeper.kill()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="no-such-program"):
        processes.start(tmp_path, "x", ("no-such-program",))


def test_output_goes_to_the_log_and_the_log_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        echo = processes.start(
            tmp_path, "echo", ("sh", "-c", "echo $WORD; echo err >&2"), environ={"WORD": word}
        )
        wait_for_end(echo)
    assert (tmp_path / "logs" / "echo.log").read_text() == "second\nerr\n"
    assert (tmp_path / "logs" / "echo.previous.log").read_text() == "first\nerr\n"


def test_a_broken_pipe_ends_what_is_started_as_from_a_shell(tmp_path: Path) -> None:
    script = "kill -PIPE $$; echo deaf to it"
    shell = processes.start(tmp_path, "shell", ("sh", "-c", script))
    wait_for_end(shell)
    assert shell.log.read_text() == ""


def test_a_wait_in_vain_names_what_was_missing_and_shows_the_log(tmp_path: Path) -> None:
    program = processes.start(tmp_path, "x", ("sh", "-c", "echo a clue; exec sleep 60"))
    wait_for_log(program, "a clue")
    with pytest.raises(DevstackError, match=r"(?s)in vain: the moon rises.*a clue"):
        processes.wait_until(lambda: False, 0.2, "the moon rises", program)
    program.kill()


def test_an_early_end_of_the_process_ends_the_wait_at_once(tmp_path: Path) -> None:
    program = processes.start(tmp_path, "x", ("sh", "-c", "echo a clue; exit 3"))
    before_s = time.monotonic()
    with pytest.raises(DevstackError, match=r"(?s)x ended before the moon rises.*a clue"):
        processes.wait_until(lambda: False, 60, "the moon rises", program)
    assert time.monotonic() - before_s < 10


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert processes.log_tail(log) == "(no log)"
    log.write_text("")
    assert processes.log_tail(log) == "(empty log)"
    log.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert processes.log_tail(log, lines=2) == "99998\n99999"
