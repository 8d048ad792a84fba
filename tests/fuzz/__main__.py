"""``python -m tests.fuzz [NAME ...]``: a coverage-guided fuzzer for each decoder, in turn.

SECONDS (60) bounds each. An input that breaks a promise is kept in tests/fuzz/findings, where the
unit tests try it ever after: commit it with what mends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FINDINGS = Path(__file__).parent / "findings"
_ONE = "--one"


def main(arguments: list[str]) -> int:
    if arguments[:1] == [_ONE]:
        fuzz(arguments[1], arguments[2:])
    from tests.fuzz.decoders import DECODERS

    seconds = int(os.environ.get("SECONDS", "60"))
    broken = [name for name in arguments or DECODERS if not has_held(name, seconds)]
    if broken:
        print(f"broken: {', '.join(broken)}; see {FINDINGS}")
    return 1 if broken else 0


def has_held(name: str, seconds: int) -> bool:
    """Whether a decoder kept its promise; each has a process, which ends where one breaks."""
    from tests.fuzz.decoders import DECODERS

    directory = FINDINGS / name
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(DECODERS[name].seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        print(f"== {name}: {seconds} s", flush=True)
        command = [
            *(sys.executable, "-m", "tests.fuzz", _ONE, name, corpus),
            *(f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024"),
            *("-max_len=8192", "-use_value_profile=1", "-verbosity=0", "-print_final_stats=1"),
            f"-artifact_prefix={directory}/",
        ]
        directory.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run(command, check=False)
        if not any(directory.iterdir()):
            directory.rmdir()
    return ended.returncode == 0


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one decoder until its time is over; does not return."""
    import atheris
    from tests.fuzz.mutation import word_mutator

    with atheris.instrument_imports(
        include=["loadertask_contract", "loadertask_worker", "zipfile"]
    ):
        from tests.fuzz.decoders import DECODERS
    decoder = DECODERS[name]
    # Looked up anew each time: atheris puts another function there when it begins.
    mutator = word_mutator(decoder.seeds, lambda data, size: atheris.Mutate(data, size))
    atheris.Setup([sys.argv[0], *options], decoder.check, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
