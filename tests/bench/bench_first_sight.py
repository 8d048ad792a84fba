"""How long a new user waits: `make try` and `make demo` from a fresh clone, cold and warm.

    python tests/bench/bench_first_sight.py [--cold-demo]

Cold means a home directory of its own: no environment, no packages, no jars, no built programs
(the machine's own packages stay). Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FIRST_RECORD = "  offset 0  key"
LIMIT_S = 3600
# By its path: what finds a Python may look into the home directory that is taken away here.
PYTHON = Path(sys.base_prefix) / "bin" / "python3"


@dataclass(frozen=True)
class Wait:
    """Seconds until the first record was shown, and until the command ended."""

    what: str
    first_record_s: float
    total_s: float
    target: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold-demo", action="store_true", help="builds Kubernetes: ten minutes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-sight-") as folder:
        place = Path(folder)
        waits = _measure(place, with_cold_demo=options.cold_demo)
        # Go makes its modules read-only; they are removed all the same.
        subprocess.run(["chmod", "-R", "u+w", str(place)], check=False)
    print(f"\n{'':34}{'first record':>14}{'end':>10}   target")
    for wait in waits:
        print(f"{wait.what:34}{wait.first_record_s:12.1f} s{wait.total_s:8.1f} s   {wait.target}")
    return 0


def _measure(place: Path, *, with_cold_demo: bool) -> list[Wait]:
    clone = place / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    home = place / "home"
    home.mkdir()
    cold = {**os.environ, "HOME": str(home)}
    cold.pop("XDG_CACHE_HOME", None)
    cold.pop("DEVSTACK_HOME", None)
    try:
        waits = [
            _timed(clone, "try", cold, "make try, cold", "first record ≤ 60 s"),
            _timed(clone, "try", cold, "make try, warm", "first record ≤ 15 s"),
        ]
        if with_cold_demo:
            waits.append(
                _timed(clone, "demo", cold, "make demo, Kubernetes unbuilt", "about 10 min")
            )
    finally:
        _down(clone, cold)
    warm = dict(os.environ)
    try:
        _make(clone, "prepare", warm)
        waits.append(_timed(clone, "demo", warm, "make demo, warm", "end < 90 s"))
    finally:
        _down(clone, warm)
    return waits


def _timed(clone: Path, target: str, environ: dict[str, str], what: str, aim: str) -> Wait:
    began = time.monotonic()
    first_record_s = float("nan")
    with subprocess.Popen(
        ["make", f"PYTHON={PYTHON}", target],
        cwd=clone,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stdout or ():
            print(f"  {line}", end="", flush=True)
            if FIRST_RECORD in line and first_record_s != first_record_s:
                first_record_s = time.monotonic() - began
    if running.returncode:
        sys.exit(f"make {target} ended with {running.returncode}")
    return Wait(what, first_record_s, time.monotonic() - began, aim)


def _make(clone: Path, target: str, environ: dict[str, str]) -> None:
    subprocess.run(["make", target], cwd=clone, env=environ, check=True, timeout=LIMIT_S)


def _down(clone: Path, environ: dict[str, str]) -> None:
    subprocess.run(["make", "down"], cwd=clone, env=environ, check=False, timeout=300)


if __name__ == "__main__":
    sys.exit(main())
