"""What a broker keeps between two commands: its settings and its users' passwords, as files.

Reads and writes them; knows nothing of the broker that uses them.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import secrets
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.configuration import NodeSettings
from loadertask_devstack.stack import free_port

if TYPE_CHECKING:
    from pathlib import Path

LOADER_USER = "loader"
PLATFORM_USERS = ("operator", LOADER_USER)
TRANSACTIONAL_USER = "loader-transactional"
"""May what the platform's loader may, and use transactional ids."""

USERS = (*PLATFORM_USERS, TRANSACTIONAL_USER)


def new_settings() -> NodeSettings:
    """Settings with a new cluster id and free ports."""
    controller, plain, secure, pods = _distinct_free_ports(4)
    return NodeSettings(_new_cluster_id(), controller, plain, secure, pods)


def load_settings(state: Path) -> NodeSettings | None:
    """The settings kept in `state`; None where there are none. Raises DevstackError if broken."""
    try:
        return NodeSettings(**json.loads((state / "settings.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DevstackError(
            f"{state / 'settings.json'} is not what devstack wrote: {error}",
            f"stop the stack, remove {state}, start again",
        ) from error


def save_settings(state: Path, settings: NodeSettings) -> None:
    """Keep the settings in `state`."""
    _write_private(state / "settings.json", json.dumps(dataclasses.asdict(settings), indent=1))


def settled_passwords(state: Path) -> dict[str, str]:
    """The password of every user in `USERS`, generated the first time."""
    directory = state / "passwords"
    for user in USERS:
        if not (directory / user).exists():
            _write_private(directory / user, secrets.token_hex(16))
    return {user: password(state, user) for user in USERS}


def password(state: Path, user: str) -> str:
    """The password of one user; raises DevstackError for a user the broker does not have."""
    if user not in USERS:
        raise DevstackError(f"Kafka has no user {user!r}", f"take one of {', '.join(USERS)}")
    return (state / "passwords" / user).read_text()


def _new_cluster_id() -> str:
    """16 random bytes as Kafka writes them: 22 characters of URL-safe base64.

    Without a leading `-`, which the storage tool takes for an option.
    """
    while True:
        identity = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not identity.startswith("-"):
            return identity


def _distinct_free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return [*ports]


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
