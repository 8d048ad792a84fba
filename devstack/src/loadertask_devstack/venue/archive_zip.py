"""Zip files of the archive and the ways in which they can be broken.

The same lines make the same bytes: the checksum of a file that is made again stays the same.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loadertask_devstack.venue.faults import Fault, FaultKind
from loadertask_devstack.venue.row_faults import damaged_lines

_WRITTEN = (2026, 1, 1, 0, 0, 0)
_FAST = 1
_HUGE_BYTES = 0xFFFF_FFF0
_HEADERS = {
    12: "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
    8: "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker,is_best_match",
    7: "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
}


@dataclass(frozen=True, slots=True)
class ZipSums:
    """What is said of a file beside its bytes: S3's entity tag is the MD5."""

    size: int
    sha256: str
    md5: str


def write_zip(path: Path, stem: str, chunks: Iterable[list[str]], fault: Fault | None) -> bool:
    """Write the lines as the only member of a zip; False where there is not one line.

    A fault of rows is put into the last chunk.
    """
    kind = fault.kind if fault else None
    name = f"other-{stem}.csv" if kind is FaultKind.ZIP_OTHER_FILE else f"{stem}.csv"
    member = zipfile.ZipInfo(name, _WRITTEN)
    member.compress_type = zipfile.ZIP_DEFLATED
    has_lines = False
    # The level of a member is taken from itself, not from the archive; public from Python 3.13 on.
    member._compresslevel = _FAST  # type: ignore[attr-defined]
    with zipfile.ZipFile(path, "w") as archive:
        if kind is FaultKind.ZIP_EMPTY:
            return True
        with archive.open(member, "w") as file:
            for lines in _damaged_last(chunks, fault):
                if lines and not has_lines and kind is FaultKind.ROWS_HEADER:
                    file.write(f"{_HEADERS[lines[0].count(',') + 1]}\n".encode())
                has_lines = has_lines or bool(lines)
                file.write("".join(f"{line}\n" for line in lines).encode())
    if kind is FaultKind.ZIP_BOMB:
        path.write_bytes(_huge(path.read_bytes()))
    return has_lines


def sums_of(path: Path) -> ZipSums:
    """The sums of a file."""
    packed = path.read_bytes()
    md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    return ZipSums(len(packed), hashlib.sha256(packed).hexdigest(), md5)


def broken(packed: bytes, kind: FaultKind) -> bytes:
    """The bytes of a zip with a fault that its checksum betrays; all others as they are."""
    match kind:
        case FaultKind.ZIP_CUT:
            return packed[: len(packed) // 2]
        case FaultKind.ZIP_CORRUPT:
            middle = len(packed) // 2
            return packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :]
        case _:
            return packed


def _damaged_last(chunks: Iterable[list[str]], fault: Fault | None) -> Iterable[list[str]]:
    held: list[str] | None = None
    for lines in chunks:
        if held is not None:
            yield held
        held = lines
    if held is not None:
        yield damaged_lines(held, fault) if fault else held


def _huge(packed: bytes) -> bytes:
    """A zip whose only member says of itself that it unpacks to four gigabytes."""
    size = _HUGE_BYTES.to_bytes(4, "little")
    directory = packed.rindex(b"PK\x01\x02")
    packed = packed[: directory + 24] + size + packed[directory + 28 :]
    return packed[:22] + size + packed[26:]
