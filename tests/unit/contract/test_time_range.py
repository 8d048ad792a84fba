from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.time_range import TimeRange, epoch_ms, from_epoch_ms, parse_time_range

DAY = TimeRange(datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "2023-01-01:2023-01-02",
        "2023-01-01T00:00:00Z/2023-01-02T00:00:00Z",
        "2023-01-01T01:00:00+01:00/2023-01-02T00:00:00.000Z",
        "2023-01-01T00:00/2023-01-02T00:00",
    ],
)
def test_both_forms_mean_the_same_half_open_day(text: str) -> None:
    assert parse_time_range(text) == DAY


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2023-01-02:2023-01-01", "must be before END"),
        ("2023-01-01:2023-01-01", "must be before END"),
        ("2023-02-30:2023-03-01", "'2023-02-30' is not a date"),
        ("2023-01-01", "is not a time range"),
        ("yesterday:today", "'yesterday' is not a date"),
        ("2023-01-01/2023-01-02/2023-01-03", "is not a time range"),
        ("2023-01-01T00:00:00.0000001Z/x", "is not a date"),
        ("2023-01-01T00:00:00.000001Z/2023-01-02T00:00:00Z", "finer than a millisecond"),
        ("", "is not a time range"),
        ("0001-01-01T00:00:00+14:00/2023-01-01T00:00:00Z", "is not of the years 1970 to 2099"),
        ("1969-12-31:1970-01-02", "'1969-12-31' is not of the years 1970 to 2099"),
        ("2099-12-31:2100-01-01", "'2100-01-01' is not of the years 1970 to 2099"),
    ],
)
def test_a_bad_range_is_refused_in_words(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_time_range(text)


moments = st.datetimes(datetime(2017, 1, 1), datetime(2096, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(moments, st.integers(min_value=1, max_value=10**11))
def test_the_text_of_a_range_parses_to_the_range(start: datetime, length_ms: int) -> None:
    time_range = TimeRange(start, start + timedelta(milliseconds=length_ms))
    assert parse_time_range(str(time_range)) == time_range
    assert time_range.end_ms - time_range.start_ms == length_ms


@given(moments)
def test_epoch_milliseconds_survive_the_way_there_and_back(moment: datetime) -> None:
    assert from_epoch_ms(epoch_ms(moment)) == moment
