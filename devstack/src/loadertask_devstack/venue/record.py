"""``python -m loadertask_devstack.venue.record``: packs archive days into a committed recording.

Reads original archive files with their checksums, writes one compact file; see codec.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.venue.codec import encode
from loadertask_devstack.venue.recordings import archive_rows


def main(arguments: list[str] | None = None) -> int:
    """Pack the days and print what was written; 1 with a message where a file is missing or bad."""
    parser = argparse.ArgumentParser(prog="python -m loadertask_devstack.venue.record")
    parser.add_argument("--archive", type=Path, required=True, help="folder of SYMBOL-1m-DATE.zip")
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--output", type=Path, required=True, help="folder of the recording")
    parser.add_argument("days", nargs="+", metavar="YYYY-MM-DD", help="days to pack, ascending")
    options = parser.parse_args(arguments)
    try:
        target, rows, size_bytes = pack(
            options.archive, options.symbol, options.days, options.output
        )
    except (DevstackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target}: {rows} rows, {size_bytes} bytes")
    return 0


def pack(archive: Path, symbol: str, days: list[str], output: Path) -> tuple[Path, int, int]:
    """Write the recording; its path, number of rows and size in bytes."""
    files = [archive / f"{symbol}-1m-{day}.zip" for day in sorted(days)]
    candles = [candle for path in files for candle in archive_rows(path)]
    packed = encode(candles)
    target = output / f"{symbol}-1m-{min(days)}_{max(days)}.candles.xz"
    target.write_bytes(packed)
    return target, len(candles), len(packed)


if __name__ == "__main__":
    sys.exit(main())
