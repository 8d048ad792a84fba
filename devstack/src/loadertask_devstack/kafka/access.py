"""What Kafka's users may do: the platform's ACLs, and rules that a test adds or takes back.

Speaks to the PLAIN listener, whose clients are superusers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.state import TRANSACTIONAL_USER, USERS
from loadertask_devstack.kafka.topics import ERRORS_ONLY

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_S = 15.0
_POLL_S = 0.01
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


@dataclass(frozen=True)
class AccessRule:
    """One ACL: a user may, or may not, do one thing with the resources of a name."""

    user: str
    resource: Literal["topic", "group", "transactional-id"]
    operation: Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DELETE", "DESCRIBE_CONFIGS"]
    name: str = "*"
    """The resource's name; `*` is every one."""
    is_allowed: bool = True


def platform_rules() -> list[AccessRule]:
    """What the platform grants its users: no transactional id, but for the user made for that."""
    return [
        *(
            AccessRule(user, "topic", operation)
            for user in USERS
            for operation in ("READ", "WRITE", "CREATE", "DESCRIBE")
        ),
        *(
            AccessRule(user, "group", operation)
            for user in USERS
            for operation in ("READ", "DESCRIBE")
        ),
        *(
            AccessRule(TRANSACTIONAL_USER, "transactional-id", operation)
            for operation in ("WRITE", "DESCRIBE")
        ),
    ]


def add_rules(bootstrap: str, rules: Iterable[AccessRule]) -> None:
    """Put the rules in force; those in force already stay. Raises KafkaException, DevstackError."""
    rules = list(rules)
    bindings = [AclBinding(*_acl(rule)) for rule in rules]
    admin = _admin(bootstrap)  # its futures die with it
    for added in admin.create_acls(bindings).values():
        added.result(_TIMEOUT_S)
    _wait_until(admin, rules, are_in_force=True)


def remove_rules(bootstrap: str, rules: Iterable[AccessRule]) -> None:
    """Take exactly these rules back. Raises KafkaException, DevstackError."""
    rules = list(rules)
    filters = [AclBindingFilter(*_acl(rule)) for rule in rules]
    admin = _admin(bootstrap)
    for removed in admin.delete_acls(filters).values():
        removed.result(_TIMEOUT_S)
    _wait_until(admin, rules, are_in_force=False)


def _wait_until(admin: AdminClient, rules: Iterable[AccessRule], *, are_in_force: bool) -> None:
    """The controller has them at once, the broker, who asks for nothing else, a moment later."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    for rule in rules:
        binding = AclBindingFilter(*_acl(rule))
        while bool(admin.describe_acls(binding).result(_TIMEOUT_S)) != are_in_force:
            if time.monotonic() > deadline_s:
                raise DevstackError(
                    f"waited {_TIMEOUT_S:g} s in vain for a change of Kafka's ACLs: {rule}",
                    "look at the log of Kafka",
                )
            time.sleep(_POLL_S)


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": ERRORS_ONLY})


def _acl(
    rule: AccessRule,
) -> tuple[ResourceType, str, ResourcePatternType, str, str, AclOperation, AclPermissionType]:
    """The rule in the order of the library's arguments."""
    return (
        _RESOURCES[rule.resource],
        rule.name,
        ResourcePatternType.LITERAL,
        f"User:{rule.user}",
        "*",
        AclOperation[rule.operation],
        AclPermissionType.ALLOW if rule.is_allowed else AclPermissionType.DENY,
    )
