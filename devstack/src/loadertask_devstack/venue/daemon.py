"""Starts and stops the replay as a process that outlives the command line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadertask_devstack import processes
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.stack import CHECKOUT, free_port

_NAME = "venue"
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Venue:
    """A running replay; ``url`` is its loopback address, whatever else it listens on."""

    url: str
    process: processes.Process


def default_recordings(environ: Mapping[str, str]) -> Path | None:
    """DEVSTACK_RECORDINGS, else the folder of recorded data beside the checkout, else None."""
    if chosen := environ.get("DEVSTACK_RECORDINGS"):
        return Path(chosen)
    beside = CHECKOUT.parent / "shared" / "data"
    return beside if beside.is_dir() else None


def start(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    weight_limit: int = 6000,
    recordings: Path | None = None,
    compress: bool = True,
    stream_rules: Mapping[str, object] | None = None,
) -> Venue:
    """The replay of a stack's directory, started if it does not run yet with these settings.

    ``compress`` off saves the time of gzip where a benchmark measures the client; ``stream_rules``
    are those of `StreamRules` that are not to be as usual. Without ``port`` it keeps the port it
    runs on, or takes a free one; it always listens on loopback too, so one that runs for pods
    serves a caller on this machine as it is. Raises DevstackError where it does not come up, with
    the end of its log.
    """
    recordings = default_recordings(os.environ) if recordings is None else recordings
    wanted: dict[str, Any] = {
        "host": host,
        "weight_limit": weight_limit,
        "recordings": str(recordings) if recordings else None,
        "gzip": compress,
        "stream_rules": json.dumps(dict(stream_rules or {}), sort_keys=True),
    }
    running, settings = processes.find(directory, _NAME), _settings(directory)
    if running and _satisfies(settings, wanted, port):
        return _ready(running, int(settings["port"]))
    if running:
        running.stop(_STOP_TIMEOUT_S)
    bound_port = port or free_port()
    process = processes.start(directory, _NAME, _command(wanted, bound_port))
    _settings_path(directory).write_text(json.dumps(wanted | {"port": bound_port}))
    return _ready(process, bound_port)


def stop(directory: Path) -> None:
    """End the replay of a stack's directory, if it runs."""
    if running := processes.find(directory, _NAME):
        running.stop(_STOP_TIMEOUT_S)
    _settings_path(directory).unlink(missing_ok=True)


def _command(wanted: dict[str, Any], port: int) -> list[str]:
    command = [sys.executable, "-m", "loadertask_devstack.venue", "--port", str(port)]
    for name, value in wanted.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            command.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            command += [f"--{option}", str(value)]
    return command


def _ready(process: processes.Process, port: int) -> Venue:
    url = f"http://127.0.0.1:{port}"
    processes.wait_until(
        lambda: _answers(url), _START_TIMEOUT_S, f"the venue replay answers on {url}", process
    )
    if not process.is_running():
        raise DevstackError(
            f"something else answers on {url}; end of {process.log}:\n"
            f"{processes.log_tail(process.log)}",
            "end what listens there, or give another port",
        )
    return Venue(url, process)


def _satisfies(settings: dict[str, Any], wanted: dict[str, Any], port: int | None) -> bool:
    if not settings or port not in (None, settings["port"]):
        return False
    asked = {name: value for name, value in wanted.items() if name != "host"}
    is_heard = wanted["host"] in ("127.0.0.1", settings["host"])
    return is_heard and asked.items() <= settings.items()


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_replay/", timeout=_PROBE_TIMEOUT_S) as response:
            return bool(response.status == 200)
    except OSError:  # URLError is one
        return False


def _settings(directory: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = json.loads(_settings_path(directory).read_text())
        if isinstance(found, dict):
            return found
    return {}


def _settings_path(directory: Path) -> Path:
    return directory / "run" / "venue-settings.json"
