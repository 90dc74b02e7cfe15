"""`python -m scripts.loan_check FOLDER`: do the metrics tell bad loans from good ones? A check, and no score.

The loans are those of a Czech bank from 1993 to 1998 (PKDD'99) whose accounts are known from their opening to the
day before the loan. Each figure is computed by the catalogue, over the rows before that day. The combination was
fixed on slice A and is reported on slice C; nothing in it was fitted. `docs/loan-check.md` says what came out.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from adapters.budget_insight.simulator.berka import minor
from adapters.budget_insight.simulator.berka import row as simulated
from domain.categories.categorise import labels_of
from domain.insights.analysis import Analysis
from domain.insights.books import Account, Books, Reading, Row
from domain.insights.catalogue import METRICS
from domain.insights.months import window_of
from domain.transactions import day_of
from projections.labels import label_root
from scripts.options import stop

CURRENCY, EXPONENT = "CZK", 2
#: What the balances are looked at over, and what a month's income is averaged over.
WINDOW, INCOME_WINDOW = "90d", "365d"
#: The half of a 95 % interval lies between these hundredths.
LOW, HIGH = 0.025, 0.975
ROUNDS = 2_000
SEED = 4

DAY_MICROS = 86_400_000_000

progress = Console(stderr=True, highlight=False)


class Loan(NamedTuple):
    """A loan that was granted, how it ended, and the account's rows before it."""

    id: str
    slice: str
    granted: int
    """The day it was granted on: no row of that day or later counts."""
    instalment: int
    """Minor units a month."""
    is_bad: bool
    """Status B or D: not paid, or in debt."""
    books: Books


class Terms(NamedTuple):
    """What the catalogue says of an account on the day before its loan. Ratios are numbers, money is minor units."""

    minimum: int
    mean: int
    volatility: float
    """Standard deviation of the balances / their mean."""
    negative_days: int
    sanctions: int
    """K5: what was charged for an overdraft, by size."""
    inflow: int
    """C3: per month, of the complete months of a year."""
    minimum_to_inflow: float
    instalment_to_inflow: float


# The formula


def without_instalment(terms: Terms) -> float:
    """0 to 3, higher is worse: how the balance varies, how little is left at its lowest, whether it was negative."""
    thin = 1 - _share(terms.minimum_to_inflow)
    return _share(terms.volatility) + thin + (terms.negative_days > 0)


def with_instalment(terms: Terms) -> float:
    """0 to 4: the same, and the instalment's share of the month's inflow."""
    return without_instalment(terms) + _share(terms.instalment_to_inflow)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


#: By name what is measured; higher is worse in all of them.
MEASURES: dict[str, Callable[[Terms], float]] = {
    "B10 minimum balance": lambda terms: -terms.minimum,
    "B10 / C3 minimum balance to inflow": lambda terms: -terms.minimum_to_inflow,
    "B6 mean balance": lambda terms: -terms.mean,
    "B5 volatility: deviation / mean": lambda terms: terms.volatility,
    "B7 negative days": lambda terms: terms.negative_days,
    "K5 overdraft fees": lambda terms: terms.sanctions,
    "instalment / C3 inflow": lambda terms: terms.instalment_to_inflow,
    "combination without the instalment": without_instalment,
    "combination with the instalment": with_instalment,
}


# What is known before a loan


def loans_in(folder: Path, slice: str) -> list[Loan]:
    """The loans of a slice whose accounts are known from their opening, oldest first."""
    with (folder / "expected" / "loan_preloan_features.csv").open(newline="", encoding="utf-8") as lines:
        told = [
            record
            for record in csv.DictReader(lines)
            if record["slice"] == slice and record["complete_history"] == "1"
        ]
    rows = _rows(folder, {record["account_id"] for record in told})
    return [_loan(record, rows[record["account_id"]]) for record in told]


def _rows(folder: Path, accounts: set[str]) -> dict[str, list[dict[str, str]]]:
    found: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(folder / "transactions.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines):
            if record["account_id"] in accounts:
                found[record["account_id"]].append(record)
    return found


def _loan(told: dict[str, str], records: list[dict[str, str]]) -> Loan:
    granted = day_of(date.fromisoformat(told["date"]))
    before = sorted(
        (record for record in records if record["date"] < told["date"]),
        key=lambda record: (record["date"], int(record["seq"])),
    )
    return Loan(
        id=told["loan_id"],
        slice=told["slice"],
        granted=granted,
        instalment=minor(told["payments"]),
        is_bad=told["good"] == "0",
        books=_books(told["account_id"], before, granted - 1),
    )


def _books(account: str, records: Sequence[dict[str, str]], as_of: int) -> Books:
    """An account as it was on a day: the balance column is a reading at the end of each day that has a row."""
    made = [(simulated(record), record) for record in records]
    rows = tuple(sorted(_row(account, one) for one, _ in made))
    ends = {day_of(one.date): minor(record["balance"]) for one, record in made}
    readings = tuple(Reading(day, (day + 1) * DAY_MICROS, balance) for day, balance in sorted(ends.items()))
    held = Account(
        id=account,
        kind="CHECKING",
        currency=CURRENCY,
        exponent=EXPONENT,
        balance=readings[-1].balance,
        balance_as_of=readings[-1].recorded_at,
        readings=readings,
        covered=((rows[0].day, as_of),),
        rows=rows,
        first_booked=rows[0].day,
    )
    return Books(accounts=(held,), as_of=as_of, known_at=(as_of + 1) * DAY_MICROS, since=0)


def _row(account: str, made: Any) -> Row:
    other = made.counterparty
    name = other.label if other is not None else ""
    return Row(
        day=day_of(made.date),
        id=made.webid.encode(),
        account=account,
        amount=made.value,
        value_day=day_of(made.date),
        kind=made.type,
        wording=made.original_wording,
        root=label_root(made.original_wording),
        labels=labels_of(made.original_wording, made.type, made.value, name),
        other=other.account_identification if other is not None else "",
        other_name=name,
    )


def terms_of(loan: Loan) -> Terms:
    """What the catalogue says of the account on the day before the loan."""
    analysis = Analysis(loan.books)
    as_of = loan.books.as_of

    def value(id: str, window: str) -> Any:
        figures = METRICS[id].compute(analysis, window_of(window, as_of))
        return next(figure.value for figure in figures if figure.account is None)

    statistics = value("B5", WINDOW)
    inflow = value("C3", INCOME_WINDOW)["inflow"]
    return Terms(
        minimum=value("B10", WINDOW),
        mean=statistics["mean"],
        volatility=_over(statistics["standard_deviation"], statistics["mean"]),
        negative_days=value("B7", WINDOW),
        sanctions=-value("K5", WINDOW)["total"],
        inflow=inflow,
        minimum_to_inflow=_over(value("B10", WINDOW), inflow),
        instalment_to_inflow=_over(loan.instalment, inflow),
    )


def _over(part: int, whole: int) -> float:
    """Of nothing, or of less, any part is the whole of it."""
    return part / whole if whole > 0 else 1.0


# How well it tells them apart


class Auc(NamedTuple):
    value: float
    low: float
    high: float


def auc(scores: Sequence[float], is_bad: Sequence[bool]) -> float:
    """How often a bad loan scores above a good one; a tie counts half.

    Raises:
        ValueError: all are good, or all are bad.
    """
    ordered = sorted(zip(scores, is_bad, strict=True))
    bad = sum(is_bad)
    good = len(ordered) - bad
    if not bad or not good:
        raise ValueError("an AUC is of good and of bad ones")
    won = below = place = 0
    while place < len(ordered):
        tied = place
        while tied < len(ordered) and ordered[tied][0] == ordered[place][0]:
            tied += 1
        bad_here = sum(is_bad for _, is_bad in ordered[place:tied])
        good_here = tied - place - bad_here
        won += bad_here * (2 * below + good_here)
        below += good_here
        place = tied
    return won / (2 * bad * good)


def with_interval(
    scores: Sequence[float], is_bad: Sequence[bool], *, rounds: int = ROUNDS, seed: int = SEED
) -> Auc:
    """The AUC with a bootstrap interval of 95 %: good and bad loans are drawn apart, each as often as there are."""
    bad = [score for score, of_bad in zip(scores, is_bad, strict=True) if of_bad]
    good = [score for score, of_bad in zip(scores, is_bad, strict=True) if not of_bad]
    flags = [True] * len(bad) + [False] * len(good)
    random = Random(seed)
    drawn = sorted(
        auc(random.choices(bad, k=len(bad)) + random.choices(good, k=len(good)), flags) for _ in range(rounds)
    )
    return Auc(auc(scores, is_bad), drawn[int(LOW * rounds)], drawn[int(HIGH * rounds)])


def measured(loans: Sequence[Loan], *, rounds: int = ROUNDS) -> Iterator[tuple[str, Auc]]:
    """Each measure with its AUC over these loans."""
    terms = [terms_of(loan) for loan in loans]
    is_bad = [loan.is_bad for loan in loans]
    for name, measure in MEASURES.items():
        yield name, with_interval([measure(one) for one in terms], is_bad, rounds=rounds)


def loan_check(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder with the Berka data.")
    ],
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="Look at this one alone.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help="Draws of the bootstrap.")] = ROUNDS,
) -> None:
    """Print how well single metrics and one fixed combination tell bad loans from good ones."""
    if not (folder / "expected" / "loan_preloan_features.csv").is_file():
        stop("the folder has no expected/loan_preloan_features.csv", 2)
    for slice in slices or ("A", "C"):
        with progress.status(f"slice {slice}"):
            loans = loans_in(folder, slice)
            found = list(measured(loans, rounds=rounds))
        typer.echo(f"Slice {slice}: {len(loans)} loans, {sum(loan.is_bad for loan in loans)} of them bad.\n")
        typer.echo("| higher is worse | AUC | 95 % from | to |\n| --- | --: | --: | --: |")
        for name, one in found:
            typer.echo(f"| {name} | {one.value:.3f} | {one.low:.3f} | {one.high:.3f} |")
        typer.echo("")


if __name__ == "__main__":
    typer.run(loan_check)
