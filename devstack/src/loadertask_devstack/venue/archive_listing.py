"""The archive's listing as S3 gives it: keys and folders under a prefix, 1000 to a page. Pure.

Sizes and entity tags of files that were never made are not known: there they are those of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from loadertask_contract.time_range import from_epoch_ms
from loadertask_devstack.venue.archive_names import ArchiveFile, files_in, folders
from loadertask_devstack.venue.faults import SUM_SUFFIX

_PAGE_KEYS = 1000
_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


@dataclass(frozen=True, slots=True)
class ListingQuery:
    """What to list: keys that begin with ``prefix`` and come after ``marker``."""

    prefix: str = ""
    marker: str = ""
    delimiter: str = ""
    max_keys: int = _PAGE_KEYS


def listing(query: ListingQuery, now_ms: int, delay_h: float) -> str:
    """One page; with a delimiter what lies deeper is one entry for each folder."""
    limit = min(query.max_keys, _PAGE_KEYS)
    entries = list(_first(_entries(query, now_ms, delay_h), limit + 1))
    is_cut, entries = len(entries) > limit, entries[:limit]
    body = "".join(_xml(entry, delay_h) for entry in entries)
    following = f"<NextMarker>{escape(_key(entries[-1]))}</NextMarker>" if is_cut else ""
    return (
        f'{_HEAD}<ListBucketResult xmlns="{_SPACE}"><Name>data.binance.vision</Name>'
        f"<Prefix>{escape(query.prefix)}</Prefix><Marker>{escape(query.marker)}</Marker>{following}"
        f"<MaxKeys>{limit}</MaxKeys><Delimiter>{escape(query.delimiter)}</Delimiter>"
        f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{body}</ListBucketResult>"
    )


def no_such_key(key: str) -> str:
    """S3's error body for a key that is not there."""
    return (
        f"{_HEAD}<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
        f"<Key>{escape(key)}</Key></Error>"
    )


_Entry = tuple[str, ArchiveFile | None]


def _entries(query: ListingQuery, now_ms: int, delay_h: float) -> Iterator[_Entry]:
    seen = ""
    for folder in sorted(folders()):
        if not (folder.startswith(query.prefix) or query.prefix.startswith(folder)):
            continue
        common = _common(folder, query)
        if common:
            if common not in (seen, query.marker) and common > query.marker:
                yield common, None
            seen = common
            continue
        for file in files_in(folder, now_ms, delay_h):
            for key in (file.key, f"{file.key}{SUM_SUFFIX}"):
                if key.startswith(query.prefix) and key > query.marker:
                    yield key, file


def _common(folder: str, query: ListingQuery) -> str:
    """The entry that stands for a folder below the prefix, none where its keys are listed."""
    rest = folder[len(query.prefix) :] if folder.startswith(query.prefix) else ""
    if query.delimiter != "/" or not rest:
        return ""
    return query.prefix + rest[: rest.index("/") + 1]


def _first(entries: Iterable[_Entry], count: int) -> Iterator[_Entry]:
    return (entry for _, entry in zip(range(count), entries, strict=False))


def _key(entry: _Entry) -> str:
    return entry[0]


def _xml(entry: _Entry, delay_h: float) -> str:
    key, file = entry
    if file is None:
        return f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
    modified = from_epoch_ms(file.appears_ms(delay_h))
    return (
        f"<Contents><Key>{escape(key)}</Key>"
        f"<LastModified>{modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<ETag>&quot;{_NOTHING}&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass>"
        "</Contents>"
    )
