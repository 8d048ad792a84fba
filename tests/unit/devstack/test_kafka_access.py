from __future__ import annotations

from loadertask_devstack.kafka.access import platform_rules


def test_the_platform_grants_both_users_topics_and_groups_and_nothing_else() -> None:
    granted = {(rule.user, rule.resource, rule.operation) for rule in platform_rules()}
    assert granted == {
        (user, resource, operation)
        for user in ("operator", "loader")
        for resource, operation in (
            ("topic", "READ"),
            ("topic", "WRITE"),
            ("topic", "CREATE"),
            ("topic", "DESCRIBE"),
            ("group", "READ"),
            ("group", "DESCRIBE"),
        )
    }
    assert all(rule.is_allowed for rule in platform_rules())
