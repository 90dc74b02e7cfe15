"""Their times are Paris, their dates have no zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.budget_insight.times import from_day, to_day, to_paris, to_utc

EACH_FORM = {
    "2026-01-15 12:00:00": datetime(2026, 1, 15, 11, 0, tzinfo=UTC),
    "2026-07-15 12:00:00": datetime(2026, 7, 15, 10, 0, tzinfo=UTC),
    "2026-07-15T12:00:00": datetime(2026, 7, 15, 10, 0, tzinfo=UTC),
    "2026-07-15T12:00:00Z": datetime(2026, 7, 15, 12, 0, tzinfo=UTC),
    "2026-01-01 12:00:00 +0200": datetime(2026, 1, 1, 10, 0, tzinfo=UTC),
    "2026-01-01T12:00:00-05:30": datetime(2026, 1, 1, 17, 30, tzinfo=UTC),
    "2026-01-15 12:00:00.25": datetime(2026, 1, 15, 11, 0, 0, 250_000, tzinfo=UTC),
    "2026-01-15T12:00:00.123456789Z": datetime(2026, 1, 15, 12, 0, 0, 123_456, tzinfo=UTC),
}
ACROSS_THE_CHANGES = {
    # Clocks go back at 3:00 on 25 October 2026: 2:30 comes twice, and is read as the first.
    "2026-10-25 01:59:59": datetime(2026, 10, 24, 23, 59, 59, tzinfo=UTC),
    "2026-10-25 02:30:00": datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    "2026-10-25 03:00:00": datetime(2026, 10, 25, 2, 0, tzinfo=UTC),
    # Clocks go forward at 2:00 on 29 March 2026: 2:30 does not come.
    "2026-03-29 01:59:59": datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    "2026-03-29 02:30:00": datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    "2026-03-29 03:00:00": datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "time"), (EACH_FORM | ACROSS_THE_CHANGES).items())
def test_a_time_is_read_as_paris_unless_it_says_otherwise(text: str, time: datetime) -> None:
    assert to_utc(text) == time
    assert to_utc(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "invalid", "2026-01-15", "2026-01-15 12:00", "0000-00-00 00:00:00", "2026-02-30 00:00:00"),
        *("2026-01-15 25:00:00", "2026-01-15 12:00:00\n", "\u0662\u0660\u0662\u0666-01-15 12:00:00"),
        "2026-01-15 12:00:00+9999",
        *("0001-01-01 00:00:00", "9999-12-31 23:59:59 -0500", "2026-01-15  12:00:00"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        to_utc(text)


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_time_survives_the_way_to_paris_and_back_or_comes_an_hour_early(naive: datetime) -> None:
    time = naive.replace(tzinfo=UTC, microsecond=0)
    assert time - to_utc(to_paris(time)) in (timedelta(0), timedelta(hours=1))


def test_a_watermark_is_written_in_paris_time_whatever_zone_it_is_in() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert to_paris(datetime(2026, 7, 15, 19, 0, tzinfo=tokyo)) == "2026-07-15 12:00:00"
    assert to_paris(datetime(999, 1, 1, tzinfo=UTC)).startswith("0999-01-01 00:")
    with pytest.raises(ValueError):
        to_paris(datetime(2026, 7, 15, 19, 0))


def test_a_civil_date_is_never_shifted() -> None:
    assert to_day("1970-01-01") == 0
    assert to_day("2026-10-25") == 20_751
    assert to_day("2026-10-25 00:00:00") == 20_751
    assert from_day(20_751) == "2026-10-25" and from_day(to_day("0987-01-02")) == "0987-01-02"
    for text in ("2026-13-01", "20261025", "2026-10-25 02:00:00", "2026-10-25\n", "2026-W01-1"):
        with pytest.raises(ValueError):
            to_day(text)
