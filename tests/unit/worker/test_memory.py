"""The allocator is told in a process of its own: what it is told holds for all that follows."""

from __future__ import annotations

import subprocess
import sys

# Blocks as large as batches, a few at a time: glibc would give them back each time.
BLOCKS = """
import resource
{first}
for _ in range(100):
    blocks = [bytearray(900_000) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
TOLD = "from loadertask_worker.memory import keep_freed_memory; assert keep_freed_memory()"


def page_faults(first: str) -> int:
    script = BLOCKS.format(first=first)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(ran.stdout)


def test_memory_of_one_batch_is_used_for_the_next() -> None:
    assert page_faults(TOLD) < page_faults("import ctypes") / 3
