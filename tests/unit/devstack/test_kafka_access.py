from __future__ import annotations

import pytest

from loadertask_devstack.kafka.access import platform_rules

PLATFORM = {
    ("topic", "READ"),
    ("topic", "WRITE"),
    ("topic", "CREATE"),
    ("topic", "DESCRIBE"),
    ("group", "READ"),
    ("group", "DESCRIBE"),
}
TRANSACTIONS = {("transactional-id", "WRITE"), ("transactional-id", "DESCRIBE")}


@pytest.mark.parametrize(
    ("user", "granted"),
    [
        ("operator", PLATFORM),
        ("loader", PLATFORM),
        ("loader-transactional", PLATFORM | TRANSACTIONS),
    ],
)
def test_the_platform_grants_topics_and_groups_and_one_user_transactions_too(
    user: str, granted: set[tuple[str, str]]
) -> None:
    rules = [rule for rule in platform_rules() if rule.user == user]
    assert {(rule.resource, rule.operation) for rule in rules} == granted
    assert all(rule.is_allowed for rule in rules)
