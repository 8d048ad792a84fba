"""Merge of pod templates: maps deeply, lists by ``name``; the overlay wins. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``overlay`` laid over it; neither is changed."""
    result = dict(base)
    for key, value in overlay.items():
        result[key] = _merged_value(result.get(key), value)
    return result


def _merged_value(base: Any, overlay: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(overlay, Mapping):
        return merged(base, overlay)
    if isinstance(base, list) and isinstance(overlay, list):
        return _merged_list(base, overlay)
    return overlay


def _merged_list(base: Sequence[Any], overlay: Sequence[Any]) -> list[Any]:
    """Items of one name become one item; others of the overlay are added."""
    result = list(base)
    for item in overlay:
        index = _index_of(result, item)
        if index is None:
            result.append(item)
        else:
            result[index] = merged(result[index], item)
    return result


def _index_of(items: Sequence[Any], wanted: Any) -> int | None:
    if not isinstance(wanted, Mapping) or "name" not in wanted:
        return None
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and item.get("name") == wanted["name"]:
            return index
    return None
