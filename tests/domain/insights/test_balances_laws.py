"""What holds of balances, cash flow and quality whatever the books are."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.consumer_account import DELETED_AT_BANK
from domain.insights import balances, cashflow, quality
from domain.insights.analysis import Analysis
from domain.insights.coverage import covered_together, days_in, uncovered
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK, Window
from domain.insights.months import month_of, month_text
from domain.insights.refunds import Refunds
from domain.insights.transfers import Transfers
from tests.domain.insights.books_of import account, books, day, row

METRICS = (*balances.METRICS, *cashflow.METRICS, *quality.METRICS)
FIRST = day("2024-01-01")
DAYS = 75
AS_OF = FIRST + 70

days = st.integers(FIRST, FIRST + DAYS)
ranges = st.lists(st.tuples(days, days).map(sorted), min_size=1, max_size=3).map(
    # Ranges that neither overlap nor touch.
    lambda found: [
        span
        for place, span in enumerate(sorted(found))
        if place == 0 or span[0] > max(last for _, last in sorted(found)[:place]) + 1
    ]
)


@st.composite
def accounts(draw, id="a", currency="EUR"):
    amounts = draw(st.lists(st.tuples(days, st.integers(-5_000, 5_000), st.booleans()), max_size=12))
    rows = [
        row(on, amount, "X", *(["RENT"] if labelled else []), id=f"{id}{place}")
        for place, (on, amount, labelled) in enumerate(amounts)
    ]
    readings = draw(st.dictionaries(days, st.integers(-9_000, 9_000), max_size=4))
    covered = draw(st.just([(FIRST, FIRST + DAYS)]) | ranges)
    unknown = draw(st.lists(days, max_size=1))
    limit = draw(st.none() | st.integers(0, 3_000))
    return account(id, rows, readings.items(), covered, currency=currency, unknown_days=unknown, limit=limit)


windows = st.tuples(days, days).map(sorted).map(lambda edges: Window(*edges))


def looked_at(*held):
    """Without what is found by rules of others."""
    analysis = Analysis(books(*held, as_of=AS_OF))
    analysis.transfers, analysis.refunds, analysis.streams = Transfers(), Refunds(), ()
    return analysis


def told(analysis, window):
    return {metric.id: list(metric.compute(analysis, window)) for metric in METRICS}


def of(figures, account):
    (found,) = (one for one in figures if one.account == account)
    return found


@given(accounts(), windows)
def test_net_is_inflow_plus_outflow_and_months_sum_to_the_window(one, window):
    figure = of(cashflow.METRICS[0].compute(looked_at(one), window), None)
    if figure.value is None:
        return
    months = [month for month in figure.value["months"] if month["net"] is not None]
    assert all(month["covered_days"] == 0 for month in figure.value["months"] if month["net"] is None)
    for part in (figure.value, *months):
        assert part["net"] == part["inflow"] + part["outflow"]
        assert part["outflow"] <= 0 <= part["inflow"]
    for name in ("inflow", "outflow", "net"):
        assert sum(month[name] for month in months) == figure.value[name]
    assert sum(month["covered_days"] for month in months) == figure.covered_days


@given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=1), st.data(), windows)
def test_the_order_of_accounts_and_rows_changes_nothing(ids, data, window):
    held = [data.draw(accounts(id, data.draw(st.sampled_from(["EUR", "USD"])))) for id in ids]
    shuffled = [
        account(
            one.id,
            data.draw(st.permutations(one.rows)),
            data.draw(st.permutations(one.readings)),
            list(one.covered),
            currency=one.currency,
            unknown_days=one.unknown_days,
            limit=one.limit,
        )
        for one in data.draw(st.permutations(held))
    ]
    assert told(looked_at(*shuffled), window) == told(looked_at(*held), window)


@given(accounts("a"), accounts("b", "USD"), windows)
def test_another_currency_changes_nothing(one, other, window):
    alone, beside = told(looked_at(one), window), told(looked_at(one, other), window)
    for id, figures in alone.items():
        assert [figure for figure in beside[id] if figure.currency == "EUR"] == figures


@given(accounts(), windows)
def test_a_day_moves_the_balance_by_its_rows_but_on_and_after_a_reading(one, window):
    figure = of(balances.METRICS[2].compute(looked_at(one), window), "a")
    ends = {day(told["day"]): told["balance"] for told in figure.value or []}
    read = {reading.day for reading in one.readings}
    for on, balance in ends.items():
        # Drift shows on the day after a reading; after the last, there is none.
        if on - 1 in ends and (on - 1 not in read or on - 1 == max(read)):
            assert balance - ends[on - 1] == sum(row.amount for row in one.rows if row.day == on)
        if on in read:
            assert balance == next(reading.balance for reading in one.readings if reading.day == on)


@given(accounts("a"), accounts("b"), windows)
def test_balances_agree_with_each_other(one, other, window):
    found = told(looked_at(one, other), window)
    for name in ("a", "b", None):
        if of(found["B3"], name).value is None:
            assert all(of(found[id], name).value is None for id in ("B5", "B6", "B7", "B8", "B10"))
            continue
        ends = [end["balance"] for end in of(found["B3"], name).value]
        statistics = of(found["B5"], name).value
        assert statistics["minimum"] <= statistics["mean"] <= statistics["maximum"]
        assert statistics["minimum"] <= statistics["median"] <= statistics["maximum"]
        assert statistics["mean"] == of(found["B6"], name).value
        assert statistics["minimum"] == of(found["B10"], name).value == min(ends)
        assert statistics["standard_deviation"] <= statistics["maximum"] - statistics["minimum"]
        negative = of(found["B7"], name).value
        episodes = of(found["B8"], name).value
        assert sum(episode["days"] for episode in episodes) == negative
        assert min([episode["minimum"] for episode in episodes], default=0) == min(0, *ends)
        overdraft = of(found["B9"], name).value
        assert overdraft["arranged"] + overdraft["hard"] == negative
        assert (of(found["B11"], name).value is None) == (negative == 0)
        assert of(found["B13"], name).value + negative <= len(ends) == of(found["B3"], name).covered_days


@given(accounts("a"), accounts("b"), windows)
def test_together_is_the_sum_on_days_that_both_are_known(one, other, window):
    found = list(balances.METRICS[2].compute(looked_at(one, other), window))
    first, second, both = (
        {end["day"]: end["balance"] for end in of(found, name).value or []} for name in ("a", "b", None)
    )
    assert both == {on: first[on] + second[on] for on in first.keys() & second.keys()}


@given(accounts("a"), accounts("b"), windows)
def test_together_with_one_that_ended_is_the_sum_up_to_its_end_and_then_what_the_other_has(
    one, other, window
):
    ended = msgspec.structs.replace(other, closed=DELETED_AT_BANK)
    found = list(balances.METRICS[2].compute(looked_at(one, ended), window))
    first, second, both = (
        {day(end["day"]): end["balance"] for end in of(found, name).value or []} for name in ("a", "b", None)
    )
    last = other.covered[-1][1]
    assert both == {on: held + second.get(on, 0) for on, held in first.items() if on > last or on in second}


@given(accounts("a"), accounts("b"), windows)
def test_a_value_is_missing_only_with_a_reason_and_counts_what_it_names(one, other, window):
    for id, figures in told(looked_at(one, other), window).items():
        for figure in figures:
            assert (figure.value is None) == (figure.status != OK), id
            assert figure.status in (OK, INSUFFICIENT_HISTORY, NOT_APPLICABLE)
            assert figure.reason or figure.status == OK, id
            assert figure.n == len(figure.rows) == len(set(figure.rows)), id
            assert figure.currency == "EUR"
            msgspec.json.encode(figure.value)


@given(accounts("a"), accounts("b"), windows)
def test_nothing_after_the_reference_day_counts(one, other, window):
    later = {row.id for held in (one, other) for row in held.rows if row.day > AS_OF}
    for id, figures in told(looked_at(one, other), window).items():
        assert all(later.isdisjoint(figure.rows) for figure in figures), id


@given(accounts(), windows)
def test_months_of_all_metrics_are_those_of_the_window(one, window):
    found = told(looked_at(one), window)
    last = min(window.last, AS_OF)
    expected = [month_text(month) for month in range(month_of(window.first), month_of(last) + 1)]
    for id in ("C1", "C2", "C7", "C9"):
        value = of(found[id], None).value
        if value is not None:
            assert [month["month"] for month in value["months"]] == expected


@given(st.lists(st.tuples(ranges, st.sampled_from([None, DELETED_AT_BANK])), min_size=1, max_size=3), windows)
def test_covered_days_are_those_of_every_account_that_had_begun_and_not_ended(told, window):
    held = [account(str(place), covered=spans, closed=closed) for place, (spans, closed) in enumerate(told)]
    since = FIRST + 5
    found = covered_together(held, since)

    def counts(on):
        there = [spans for spans, closed in told if spans[0][0] <= on and not (closed and spans[-1][1] < on)]
        return on >= since and bool(there) and all(any(a <= on <= b for a, b in spans) for spans in there)

    expected = [on for on in range(window.first, window.last + 1) if counts(on)]
    assert days_in(found, window.first, window.last) == len(expected)
    missing = [on for first, last in uncovered(found, *window[:2]) for on in range(first, last + 1)]
    assert sorted([*missing, *expected]) == list(range(window.first, window.last + 1))
    assert all(one[1] + 1 < other[0] for one, other in zip(found, found[1:], strict=False))
