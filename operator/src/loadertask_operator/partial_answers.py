"""The parts of the API server's answers that are read where the whole is not needed.

Most of an object is `managedFields`: to read only these parts takes a ninth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

_Version = Annotated[int, Field(alias="resourceVersion")]


@dataclass(frozen=True, slots=True)
class _Metadata:
    resource_version: _Version


@dataclass(frozen=True, slots=True)
class _Identity:
    uid: str
    resource_version: _Version


@dataclass(frozen=True, slots=True)
class _Item:
    metadata: _Identity


@dataclass(frozen=True, slots=True)
class _Written:
    metadata: _Metadata


@dataclass(frozen=True, slots=True)
class _Listed:
    metadata: _Metadata
    items: tuple[_Item, ...] | None
    """An empty list has null here."""


WRITTEN = TypeAdapter(_Written)
"""The answer to a write."""
LISTED = TypeAdapter(_Listed)
"""A list of the metadata of objects."""
