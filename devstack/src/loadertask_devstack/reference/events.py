"""The page of queue-events and queue-control, out of the contract's models."""

from __future__ import annotations

from loadertask_contract.commands import Command
from loadertask_contract.events import EventStatus, Progress, QueueEvent
from loadertask_contract.topics import WILDCARDS
from loadertask_devstack.reference.fields import fields_table
from loadertask_devstack.reference.markdown import code, table

_STATUS = {
    EventStatus.STARTED: "the load begins; the message holds the plan, the mode of delivery and"
    " what was odd about the environment",
    EventStatus.LOADING: "every `TELEMETRY_INTERVAL`, also when nothing moves; also the answer to"
    " a `ping`, and what a person should know (a file of the archive that was bad). While the"
    " worker waits for the venue, the message says why and until when",
    EventStatus.INTERRUPTED: "ended since a stop was asked for; what is complete is committed",
    EventStatus.ERROR: "cannot go on; the header `reason` is one word for programs",
    EventStatus.FINISHED: "everything is loaded",
}
_COMMANDS = {
    Command.STOP: "commit what is complete, send `interrupted`, end with code 0",
    Command.PING: "answer with a `loading` event",
}
_INTRODUCTION = """\
# Events and commands

A worker reports on `queue-events` and obeys `queue-control`. Messages are JSON; their key is the
queue id. Order is the order of the partition: the clock of an event orders nothing. Several
programs write events of one queue id: whoever folds them goes by `producer`.

## Status
"""
_TERMINAL = """\
The terminal status comes exactly once, last. A worker that is terminated without a stop command (a
drained node) sends none: its last event is a `loading` whose reason is `Terminated`, and its exit
code asks for another try.

## Payload
"""
_HEADERS = """\
## Headers

Text in UTF-8, each optional. Who knows no headers loses nothing of the payload.
"""
_LAST_WORDS = """\
## Termination log

`/dev/termination-log` of the container holds the payload of the last event, with `reason` and,
after a ban, `banned_until` added: it serves with Kafka down. At most 4096 bytes; a long message is
cut.

## Commands
"""
_EXAMPLE = """\
```json
{{"command": "stop", "queue_id": "wf-bulk-load-20240801-a1b2c3"}}
```

`queue_id` is one queue, or everybody: {wildcards}. A command counts from `LOADER_CONTROL_SINCE`
on, also when it was sent before the worker had started. What is no command is skipped and counted.
"""


def events_page() -> str:
    """The whole page."""
    wildcards = " or ".join(map(code, sorted(WILDCARDS)))
    parts = [
        _INTRODUCTION,
        table(("Status", "Meaning"), ((code(each), text) for each, text in _STATUS.items())),
        _TERMINAL,
        fields_table(QueueEvent, "Field"),
        _HEADERS,
        fields_table(Progress, "Header"),
        _LAST_WORDS,
        table(("Command", "What is done"), ((code(c), text) for c, text in _COMMANDS.items())),
        _EXAMPLE.format(wildcards=wildcards),
    ]
    return "\n".join(parts)
