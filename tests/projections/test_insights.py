"""Figures that are kept are those that would be made now, and say all that it takes to check them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration, MemoryRows
from domain.insights.analysis import Analysis
from domain.insights.catalogue import METRICS, chosen, parameters_of, version_of
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK, Figure, Metric, Window
from domain.insights.months import window_of
from domain.transactions import day_of
from projections import insights, models
from projections.cashflow import CASHFLOWS
from projections.catch_up import catch_up
from projections.digest import first_difference
from projections.envelope import DEFAULT, Question
from projections.evidence import evidence_of, own_transfers
from projections.insights import FIGURES, document, look
from projections.models import fold
from projections.own_transfers import TRANSFERRED
from projections.ports import Rows
from projections.shown import TRANSACTIONS
from tests.projections.examples import (
    ADA,
    BOB,
    CHECKING,
    DAY,
    MARCH_1,
    NOON,
    SAVINGS,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    families,
    fetched,
    histories,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
    row_id,
    uuid,
)
from tests.projections.test_cost import CountingRows
from tests.projections.told import CONNECTED_NOW, REQUESTED, STARTED, succeeded

THEIRS = uuid(3, 11)


def spent(analysis: Analysis, window: Window) -> Iterable[Figure]:
    """A metric of our own: what goes out, per currency."""
    for currency in analysis.currencies:
        rows = [row for row in analysis.rows(currency, window) if row.amount < 0]
        yield Figure(
            value=sum(row.amount for row in rows) - analysis.parameters.get("extra", 0),
            window=window,
            currency=currency,
            n=len(rows),
            covered_days=analysis.covered_in(currency, window),
            rows=tuple(row.id for row in rows),
        )


SPENT = Metric(
    id="X1",
    name="spent",
    title="Spent",
    unit="money",
    definition="What goes out.",
    source="ours",
    windows=("30d", "1m"),
    parameters={"extra": 0},
    compute=spent,
)


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return rows


def a_history(consumer: str = ADA, account: str = CHECKING) -> History:
    rows = [a_row(n, MARCH_1 - n, (-1) ** n * 100 * n, wording="CB CARREFOUR") for n in range(1, 90)]
    history = History().add(of_consumer(consumer), registered())
    return history.add(of_account(account, consumer), discovered(), reading(5_000_00), fetched(*rows))


def answered(rows: Rows, metric: Metric = SPENT, consumer: str = ADA, **asked: Any) -> list[dict[str, Any]]:
    body = document(rows, TENANT, consumer, [metric], Question(**asked))
    assert body is not None
    return msgspec.json.decode(body)["figures"]


# What is kept


@pytest.fixture(scope="module")
def kept() -> MemoryRows:
    return rows_of(a_history())


def test_what_is_kept_is_what_is_made_on_request_with_the_defaults(kept: Rows) -> None:
    every = list(METRICS.values())
    view = look(kept, TENANT, ADA)
    assert view is not None
    computed = document(kept, TENANT, ADA, every, Question(as_of=view.analysis.as_of))
    assert document(kept, TENANT, ADA, every) == computed
    # And it was not made for that.
    kept_only = MemoryRows()
    kept_only.put_many(FIGURES, list(kept.scan(FIGURES)))
    assert document(kept_only, TENANT, ADA, every) == computed


@settings(max_examples=25)
@given(histories(steps=30) | families(steps=30))
def test_whatever_happened_what_is_kept_is_what_would_be_made_now(told: Any) -> None:
    history, _ = told
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation, facts_max=9)
    rows = generation.rows
    for consumer in (ADA, BOB):
        kept = list(rows.scan(FIGURES, TENANT, consumer))
        rows.delete(FIGURES, TENANT, consumer)
        insights.finish(rows, TENANT, consumer)
        assert kept == list(rows.scan(FIGURES, TENANT, consumer))
        assert {row.metric for row in kept} in (set(), {"", insights.BOOKS, *METRICS})


def test_of_very_many_rows_nothing_is_kept_and_the_same_is_answered(
    kept: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = document(kept, TENANT, ADA, METRICS.values())
    monkeypatch.setattr(insights, "KEPT_ROWS_MAX", 89)
    assert list(rows_of(a_history()).scan(FIGURES)) == list(kept.scan(FIGURES))
    monkeypatch.setattr(insights, "KEPT_ROWS_MAX", 88)
    rows = rows_of(a_history())
    assert insights.is_long(rows, TENANT, ADA) and not list(rows.scan(FIGURES))
    assert document(rows, TENANT, ADA, METRICS.values()) == answer
    # What was kept while they were fewer is kept no more.
    before = rows_of(a_history())
    before.put_many(FIGURES, list(kept.scan(FIGURES)))
    insights.finish(before, TENANT, ADA)
    assert not list(before.scan(FIGURES))


@settings(max_examples=25)
@given(histories(steps=30) | families(steps=30))
def test_own_transfers_are_the_same_of_however_many_rows(told: Any) -> None:
    history, _ = told
    rows = rows_of(history)
    found = list(rows.scan(TRANSFERRED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(insights, "KEPT_ROWS_MAX", 0)
        again = rows_of(history)
    assert list(again.scan(TRANSFERRED)) == found
    assert list(again.scan(CASHFLOWS)) == list(rows.scan(CASHFLOWS))


def test_one_new_row_touches_none_of_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights, "KEPT_ROWS_MAX", 88)
    rows = CountingRows()
    fold(a_history().recorded, rows)
    rows.touched.clear()
    insights.finish(rows, TENANT, ADA)
    assert rows.touched["transactions"] == 0


def test_without_rows_nothing_is_kept_and_all_is_answered() -> None:
    history = History().add(of_consumer(), registered())
    for facts in ((), (discovered(), reading(5))):
        rows = rows_of(history.add(of_account(), *facts) if facts else history)
        assert list(rows.scan(FIGURES)) == []
        body = document(rows, TENANT, ADA, METRICS.values())
        assert body is not None
        assert {figure["metric"] for figure in msgspec.json.decode(body)["figures"]} == set(METRICS)


def test_somebody_without_an_account_to_look_at_is_told_so_for_each_metric() -> None:
    history = History().add(of_consumer(), registered())
    history.add(of_account(), discovered("LOAN"), reading(-5), fetched(a_row(1, MARCH_1, -5)))
    body = document(rows_of(history), TENANT, ADA, METRICS.values())
    assert body is not None
    figures = msgspec.json.decode(body)["figures"]
    assert {figure["metric"] for figure in figures} == set(METRICS)
    assert {figure["status"] for figure in figures} <= {NOT_APPLICABLE, INSUFFICIENT_HISTORY}
    assert {figure["value"] for figure in figures} == {None}
    assert all(figure["reason"] for figure in figures)
    # A card has rows, and no cash flow of its own.
    assert answered(rows_of(history))[0]["reason"] == "no_checking_or_savings_account"


def test_nobody_elses_facts_change_anything(kept: Rows) -> None:
    history = a_history()
    history.recorded += [
        msgspec.structs.replace(recorded, position=len(history.recorded) + recorded.position)
        for recorded in a_history(BOB, THEIRS).recorded
    ]
    rows = rows_of(history)
    assert list(rows.scan(FIGURES, TENANT, ADA)) == list(kept.scan(FIGURES, TENANT, ADA))
    assert document(rows, TENANT, ADA, METRICS.values()) == document(kept, TENANT, ADA, METRICS.values())


def test_what_is_said_twice_counts_once(kept: Rows) -> None:
    # The use cases record nothing twice; a reading that is the same only moves what is known.
    again = rows_of(a_history().add(of_account(), reading(5_000_00)))
    for row in kept.scan(FIGURES, TENANT, ADA):
        if row.metric not in ("", insights.BOOKS, "Q5"):
            assert again.get(FIGURES, TENANT, ADA, row.metric) == row


def test_books_that_say_what_they_said_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, counted = rows_of(a_history()), []
    monkeypatch.setattr(insights, "figures_of", lambda metric, *_: counted.append(metric.id) or [])
    insights.finish(rows, TENANT, ADA)
    assert counted == ["Q5"]
    rows = rows_of(a_history().add(of_account(), fetched(a_row(77, MARCH_1 - 1, -1))))
    assert set(counted) == set(METRICS)


def test_only_rows_that_differ_are_written() -> None:
    rows, put = rows_of(a_history()), Counter()

    class Watching(MemoryRows):
        def put(self, table: Any, row: Any) -> None:
            put[table.name, row[2]] += 1
            super().put(table, row)

    watching = Watching()
    watching._tables = rows._tables
    insights.finish(watching, TENANT, ADA)
    assert not put


def test_figures_touch_the_rows_of_their_months_and_no_others() -> None:
    touched = []
    for older in (0, 400):
        rows = CountingRows()
        history = a_history()
        history.add(
            of_account(), fetched(*(a_row(1_000 + n, MARCH_1 - 800 - n % 300, -n) for n in range(older)))
        )
        fold(history.recorded, rows)
        rows.touched.clear()
        insights.finish(rows, TENANT, ADA)
        touched.append(rows.touched["transactions"])
    assert touched[0] == touched[1] == 89


def test_figures_are_those_of_another_run_of_a_rebuild() -> None:
    history = a_history()
    live, rebuilt = MemoryGeneration(), MemoryGeneration()
    catch_up(ListSource(history.recorded), live, facts_max=1)
    catch_up(ListSource(history.recorded), rebuilt, building=True)
    assert list(live.rows.scan(FIGURES)) and first_difference(live.rows, rebuilt.rows) is None


def test_a_sync_that_found_nothing_makes_the_figures_as_fresh_as_it_is() -> None:
    history = a_history().add(of_connection(), REQUESTED, STARTED, CONNECTED_NOW)
    history.add(of_connection(), succeeded(fetched_at=NOON + DAY))
    live, rebuilt = MemoryGeneration(), MemoryGeneration()
    catch_up(ListSource(history.recorded), live, facts_max=1)
    catch_up(ListSource(history.recorded), rebuilt, building=True)
    assert first_difference(live.rows, rebuilt.rows) is None
    (figure, _) = answered(live.rows)
    assert figure["freshness"]["transactions_as_of"] == "2024-03-02T12:00:00.000Z"
    assert figure["known_at"] == "2024-03-01T12:00:08.000Z"


# One metric that fails


def _fails(analysis: Analysis, window: Window) -> Iterator[Figure]:
    yield Figure(window=window, value=1)
    raise ZeroDivisionError


def _cannot_be_told(analysis: Analysis, window: Window) -> Iterator[Figure]:
    yield Figure(window=window, value=object())


@pytest.mark.parametrize("compute", [_fails, _cannot_be_told])
def test_a_formula_that_breaks_says_so_and_keeps_nobody_else_from_being_told(
    compute: Any, kept: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = msgspec.structs.replace(SPENT, compute=compute)
    monkeypatch.setattr(insights, "METRICS", {"X1": broken, "X2": msgspec.structs.replace(SPENT, id="X2")})
    rows = rows_of(a_history())
    assert {row.metric for row in rows.scan(FIGURES)} == {"", insights.BOOKS, "X1", "X2"}
    for figure in answered(rows, broken):
        assert (figure["value"], figure["status"]) == (None, NOT_APPLICABLE)
        assert figure["reason"] == "computation_failed"
    assert [row.name for row in models.stalled.TABLES if list(rows.scan(row))] == []


# What is answered


def test_an_envelope_has_all_that_it_takes(kept: Rows) -> None:
    month, previous = answered(kept)
    # The odd ones of the 30 days before the reading: 1 + 3 + … + 29 = 225 times 100.
    assert (month["value"], month["n"]) == (-225_00, 15)
    assert month["window"] == {"from": "2024-02-01", "to": "2024-03-01", "name": "30d", "days": 30}
    assert previous["window"] == {"from": "2024-02-01", "to": "2024-02-29", "name": "1m", "days": 29}
    del month["window"], month["digest"]
    assert month == {
        "metric": "X1",
        "name": "spent",
        "account_id": None,
        "value": -225_00,
        "unit": "money",
        "currency": "EUR",
        "as_of": "2024-03-01",
        # Each fact of the history is a second later: registered, discovered, read, fetched.
        "known_at": "2024-03-01T12:00:04.000Z",
        "n": 15,
        "covered_days": 30,
        "freshness": {
            "balance_as_of": "2024-03-01T12:00:00.000Z",
            "transactions_as_of": "2024-03-01T12:00:04.000Z",
        },
        "status": OK,
        "reason": None,
        "notes": {},
        "formula": "spent@1",
        "evidence": f"/v1/consumers/{ADA}/metrics/X1/evidence?as_of=2024-03-01&window=30d",
    }


def test_a_digest_tells_apart_whatever_may_differ(kept: Rows) -> None:
    def digest(**asked: Any) -> str:
        return answered(kept, **asked)[0]["digest"]

    plain = digest(windows=("30d",))
    assert plain == digest() == digest(as_of=MARCH_1) == digest(windows=(Window(MARCH_1 - 29, MARCH_1),))
    others = [
        digest(windows=("31d",)),
        digest(parameters={"extra": 1}),
        # One row more that adds nothing.
        answered(rows_of(a_history().add(of_account(), fetched(a_row(1_000, MARCH_1, -0)))))[0]["digest"],
        answered(kept, msgspec.structs.replace(SPENT, version=2))[0]["digest"],
    ]
    assert others[2] == plain
    assert len({plain, *others}) == 4


def test_freshness_is_that_of_the_account_that_was_looked_at_longest_ago() -> None:
    history = a_history().add(of_account(SAVINGS), discovered("SAVINGS"), reading(5, day=-40))
    (figure, _) = answered(rows_of(history))
    assert figure["freshness"]["balance_as_of"] == "2024-01-21T12:00:00.000Z"
    history.add(of_account(uuid(3, 3)), discovered())
    assert answered(rows_of(history))[0]["freshness"]["balance_as_of"] is None


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ({"windows": (Window(MARCH_1 - 3, MARCH_1),)}, "as_of=2024-03-01&from=2024-02-27&to=2024-03-01"),
        ({"windows": ("3d",), "date_basis": "value"}, "as_of=2024-03-01&window=3d&date_basis=value"),
        (
            {
                "windows": ("3d",),
                "accounts": (CHECKING,),
                "include_pending": True,
                "parameters": {"extra": 7},
            },
            f"as_of=2024-03-01&window=3d&accounts={CHECKING}&include_pending=true&extra=7",
        ),
    ],
)
def test_evidence_is_found_where_the_question_was_asked(asked: Any, query: str, kept: Rows) -> None:
    assert answered(kept, **asked)[0]["evidence"] == f"/v1/consumers/{ADA}/metrics/X1/evidence?{query}"


def test_amounts_may_need_more_than_64_bits() -> None:
    history = History().add(of_consumer(), registered()).add(of_account(), discovered())
    history.add(of_account(), fetched(*(a_row(n, MARCH_1, -(2**62)) for n in range(8))))
    body = document(rows_of(history), TENANT, ADA, [SPENT])
    assert body is not None and b'"value":%d' % -(2**65) in body


def test_a_window_that_begins_early_has_the_rows_that_lie_there() -> None:
    history = a_history().add(of_account(), fetched(a_row(1_000, MARCH_1 - 2_000, -77)))
    first = MARCH_1 - 2_001
    (figure,) = answered(rows_of(history), windows=(Window(first, first + 5),))
    assert (figure["value"], figure["n"], figure["window"]["name"]) == (-77, 1, "custom")


def test_balances_of_a_day_in_the_past_are_walked_back_from_a_reading_that_came_later() -> None:
    """
    Read once, on 1 March: 100.00. Less -7.00 ten days before, the days from 5 to 10 of February ended at 107.00; less
    -2.00 of 5 February, the four days before ended at 109.00.
    """
    history = History().add(of_consumer(), registered())
    rows = (
        a_row(1, MARCH_1 - 60, 50_00),
        a_row(2, MARCH_1 - 25, -2_00),
        a_row(3, MARCH_1 - 10, -7_00),
    )
    history.add(of_account(), discovered(), fetched(*rows), reading(100_00))
    for figure in answered(rows_of(history), METRICS["B3"], as_of=MARCH_1 - 20, windows=("10d",)):
        assert [told["balance"] for told in figure["value"]] == [109_00] * 4 + [107_00] * 6
        assert (figure["value"][-1]["day"], figure["value"][4]["day"]) == ("2024-02-10", "2024-02-05")
        assert (figure["covered_days"], figure["status"], figure["reason"]) == (10, OK, None)


def test_by_value_day_the_rows_that_were_booked_in_the_months_beside_a_window_are_in_it() -> None:
    """
    In January 2021 by value day: 1,000.00 that were booked on 31 December 2020, less 5.00; not what was booked on 31
    January for 1 February. The books begin a month before the window.
    """
    first, last = day_of(date(2021, 1, 1)), day_of(date(2021, 1, 31))
    history = a_history().add(
        of_account(),
        fetched(
            a_row(1_001, first - 1, 1_000_00, value_on=first),
            a_row(1_002, first + 14, -5_00),
            a_row(1_003, last, -3_00, value_on=last + 1),
            # The furthest that is still found.
            a_row(1_004, first - 31, -1, value_on=first),
        ),
    )
    (figure,) = answered(rows_of(history), METRICS["C1"], windows=(Window(first, last),), date_basis="value")
    assert (figure["value"]["inflow"], figure["value"]["outflow"]) == (1_000_00, -5_01)
    (figure,) = answered(rows_of(history), METRICS["C1"], windows=(Window(first, last),))
    assert (figure["value"]["inflow"], figure["value"]["outflow"]) == (0, -8_00)


def test_the_books_begin_where_the_calendar_does_at_the_earliest() -> None:
    year_1 = day_of(date(1, 1, 1))
    for basis in ("booking", "value"):
        asked = Question(windows=(Window(year_1, year_1 + 5),), date_basis=basis)
        assert insights.begins_on(asked, MARCH_1) == year_1


# Evidence


def test_by_value_day_a_row_that_was_booked_later_is_not_counted_and_it_is_said_why() -> None:
    """As of 1 March: -6.00 was booked the day after for the day before; -4.00 is booked, and for the day after."""
    history = a_history().add(
        of_account(),
        fetched(
            a_row(501, MARCH_1 + 1, -6_00, value_on=MARCH_1 - 1),
            a_row(502, MARCH_1, -4_00, value_on=MARCH_1 + 1),
        ),
    )
    asked = {"windows": (Window(MARCH_1 - 1, MARCH_1 + 1),)}

    def told(**more: Any) -> list[tuple[int, str]]:
        view = look(rows_of(history), TENANT, ADA, Question(**asked, **more))
        assert view is not None
        (found,) = evidence_of(SPENT, view, not_counted=True).figures
        return [(row.amount, row.reason) for row in found.not_counted or ()]

    assert told(date_basis="value") == [(-4_00, "after_as_of"), (-6_00, "after_as_of")]
    assert told() == [(-6_00, "after_as_of")]


def test_evidence_has_each_row_of_the_days_once() -> None:
    history = a_history()
    history.add(
        of_account(),
        fetched(
            a_row(501, MARCH_1, -5, pending=True, wording="VIR"),
            a_row(502, MARCH_1 + 1, -6),
            a_row(503, MARCH_1 - 40, -6),
        ),
    )
    view = look(rows_of(history), TENANT, ADA, Question(windows=(Window(MARCH_1 - 9, MARCH_1 + 5),)))
    assert view is not None
    found = evidence_of(SPENT, view, not_counted=True)
    (told,) = found.figures
    assert [row.amount for row in told.counted] == [-9_00, -7_00, -5_00, -3_00, -1_00]
    assert [(row.amount, row.reason) for row in told.not_counted or ()] == [
        # Each gives back most of what went out the day before.
        (8_00, "refund"),
        (6_00, "refund"),
        (4_00, "refund"),
        (2_00, "refund"),
        (-5, "pending"),
        (-6, "after_as_of"),
    ]
    assert (told.counted_total, told.not_counted_total, told.truncated) == (5, 6, False)
    assert told.figure.value == msgspec.Raw(b"%d" % sum(row.amount for row in told.counted))
    row = told.counted[-1]
    assert (row.booked_on, row.currency, row.description) == ("2024-02-29", "EUR", "CB CARREFOUR")
    assert [(label.name, bool(label.rule)) for label in row.labels] == [("GROCERIES", True)]
    assert evidence_of(SPENT, view, not_counted=False).figures[0].not_counted is None


def test_more_rows_than_are_told_are_counted_all_the_same(
    monkeypatch: pytest.MonkeyPatch, kept: Rows
) -> None:
    monkeypatch.setattr("projections.evidence.ROWS_MAX", 10)
    view = look(kept, TENANT, ADA, Question(windows=("60d",)))
    assert view is not None
    (told,) = evidence_of(SPENT, view, not_counted=True).figures
    assert (len(told.counted), told.counted_total, told.truncated) == (10, 30, True)


def test_own_transfers_are_told_with_what_they_rest_on_and_look_alikes_apart() -> None:
    theirs = {"label": "Me", "account_scheme_name": "iban", "account_identification": "FR76 2"}
    history = History().add(of_consumer(), registered())
    history.add(
        of_account(),
        discovered(iban="FR761"),
        reading(5),
        fetched(
            a_row(1, MARCH_1 - 5, -200_00, wording="VIR EPARGNE", fields={"counterparty": theirs}),
            a_row(2, MARCH_1 - 3, -70_00, wording="CB X"),
        ),
    )
    history.add(
        of_account(SAVINGS),
        discovered("SAVINGS", iban="FR762"),
        reading(5),
        fetched(a_row(3, MARCH_1 - 4, 200_00, wording="VIR"), a_row(4, MARCH_1 - 3, 70_00, wording="DEPOT")),
    )
    rows = rows_of(history)
    view = look(rows, TENANT, ADA)
    assert view is not None
    found = own_transfers(view)
    (pair,), (suggestion,) = found.transfers, found.suggestions
    assert (pair.evidence, pair.outgoing.amount, pair.incoming.account_id) == ("iban", -200_00, SAVINGS)
    assert (suggestion.evidence, suggestion.outgoing.amount) == ("amount_and_date", -70_00)
    assert (found.transfers_total, found.suggestions_total, found.truncated) == (1, 1, False)
    (told,) = evidence_of(
        SPENT, look(rows, TENANT, ADA, Question(windows=("9d",))) or view, not_counted=True
    ).figures
    reasons = {row.amount: row.reason for row in told.not_counted or ()}
    # It is counted by this metric, which takes no transfer out; the other side is none of its kind.
    assert reasons == {200_00: "own_transfer", 70_00: "not_of_this_kind"}


# The catalogue


def test_metrics_are_chosen_by_id_and_by_family() -> None:
    metrics = dict.fromkeys(("B1", "B2", "B13", "K1"), SPENT)
    assert chosen(["K1", "B1"], metrics) == ({"B1": SPENT, "K1": SPENT}, [])
    assert chosen(["B"], metrics) == ({"B1": SPENT, "B2": SPENT, "B13": SPENT}, [])
    assert chosen(["B", "Z", "B14", "", "b"], metrics)[1] == ["Z", "B14", "", "b"]


def test_the_version_of_the_catalogue_changes_with_any_formula_and_with_the_rules() -> None:
    changed = [
        version_of([SPENT], "rules"),
        version_of([SPENT], "other rules"),
        version_of([msgspec.structs.replace(SPENT, version=2)], "rules"),
        version_of([SPENT, msgspec.structs.replace(SPENT, id="X2")], "rules"),
    ]
    assert len(set(changed)) == 4
    assert version_of([msgspec.structs.replace(SPENT, title="Else")], "rules") == changed[0]


def test_all_metrics_of_the_definitions_are_there() -> None:
    families = {"B": 15, "C": 12, "R": 8, "I": 8, "K": 18, "Q": 8}
    assert set(METRICS) == {
        f"{family}{number}" for family, count in families.items() for number in range(1, count + 1)
    }
    assert len({metric.name for metric in METRICS.values()}) == len(METRICS)
    for metric in METRICS.values():
        assert metric.windows and all(window_of(name, MARCH_1) for name in metric.windows)
        assert metric.title and metric.definition and metric.source
        assert all(value >= 0 for value in metric.parameters.values())
    assert set(parameters_of([SPENT])) == {"extra"}


@settings(max_examples=20)
@given(st.permutations(list(range(1, 90))))
def test_the_order_in_which_rows_came_changes_nothing(order: list[int]) -> None:
    def figures(numbers: Iterable[int]) -> list[Any]:
        rows = [a_row(n, MARCH_1 - n // 4, (-1) ** n * 100 * n, wording="CB CARREFOUR") for n in numbers]
        history = History().add(of_consumer(), registered())
        history.add(of_account(), discovered(), reading(5_000_00), fetched(*rows))
        return list(rows_of(history).scan(FIGURES))

    assert figures(order) == figures(range(1, 90))


def test_ids_are_told_as_they_are_elsewhere(kept: Rows) -> None:
    view = look(kept, TENANT, ADA)
    assert view is not None
    (told, _) = evidence_of(SPENT, view, not_counted=False).figures
    shown = {row.id for row in kept.scan(TRANSACTIONS)}
    assert {bytes.fromhex(row.transaction_id.replace("-", "")) for row in told.counted} <= shown
    assert row_id(1) in shown
    assert DEFAULT == Question() and NOON + DAY > NOON
