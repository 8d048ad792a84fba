from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.shards import MAX_PRODUCER_ID_CHARACTERS, shard_producer_id


def test_a_load_that_is_not_split_speaks_under_its_own_name() -> None:
    assert shard_producer_id("loader-producer__a1b2c3", 0, 1) == "loader-producer__a1b2c3"


def test_a_shard_speaks_under_the_name_of_the_load_and_its_number() -> None:
    assert shard_producer_id("loader-producer__a1b2c3", 3, 8) == "loader-producer__a1b2c3-3"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.integers(1, 64))
def test_no_two_shards_of_a_load_speak_under_one_name(producer_id: str, count: int) -> None:
    names = {shard_producer_id(producer_id[:200], index, count) for index in range(count)}
    assert len(names) == count


@pytest.mark.parametrize(("index", "count"), [(-1, 2), (2, 2), (0, 0)])
def test_a_shard_that_does_not_exist_has_no_name(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        shard_producer_id("loader", index, count)


def test_a_name_that_readers_would_refuse_is_not_made() -> None:
    longest = "p" * (MAX_PRODUCER_ID_CHARACTERS - 2)
    assert len(shard_producer_id(longest, 9, 10)) == MAX_PRODUCER_ID_CHARACTERS
    with pytest.raises(ValueError, match="no room for the number"):
        shard_producer_id(longest, 10, 11)
