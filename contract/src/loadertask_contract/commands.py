"""queue-control: commands to workers (design contract §4)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from loadertask_contract.messages import EncodedMessage, UnreadableMessageError, parse_object
from loadertask_contract.topics import WILDCARDS


class Command(StrEnum):
    """What a worker can be asked."""

    STOP = "stop"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class ControlCommand:
    """A command and the workflow it is for (a queue id or a wildcard)."""

    command: Command
    queue_id: str

    def is_for(self, queue_id: str) -> bool:
        """Whether a worker of ``queue_id`` must obey it."""
        return self.queue_id == queue_id or self.queue_id in WILDCARDS


def encode_command(command: ControlCommand) -> EncodedMessage:
    """The bytes of a command."""
    body = {"command": command.command.value, "queue_id": command.queue_id}
    return EncodedMessage(command.queue_id.encode(), json.dumps(body).encode())


def parse_command(value: bytes | None) -> ControlCommand:
    """Parse a message of queue-control; unknown fields are ignored.

    Raises:
        UnreadableMessageError: not JSON, no queue id, or a command of somebody else.

    """
    body = parse_object(value)
    queue_id = body.get("queue_id")
    if not isinstance(queue_id, str) or not queue_id:
        raise UnreadableMessageError("no_queue_id")
    command = body.get("command")
    if not isinstance(command, str) or command not in tuple(Command):
        raise UnreadableMessageError("unknown_command")
    return ControlCommand(Command(command), queue_id)
