"""The catalogue of metrics, what they come to for a consumer, and the transactions that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, create_model

from adapters.http.doors import NATIVE
from adapters.http.fields import Day, Query, whole
from adapters.http.native.consumers import of_consumer
from adapters.http.problems import invalid, not_found
from adapters.http.routing import Answer, Asked, Route, ok
from domain.insights import catalogue
from domain.insights.analysis import BOOKING, VALUE
from domain.insights.catalogue import METRICS
from domain.insights.figures import Metric, Window
from domain.insights.months import window_of
from domain.transactions import day_of
from projections import evidence, insights
from projections.accounts import ACCOUNTS
from projections.books import booked_count, reference_day
from projections.envelope import DEFAULT, Common, Days, Envelope, Freshness, Question
from projections.evidence import (
    OWN_TRANSFER,
    Evidence,
    EvidenceLabel,
    EvidenceRow,
    FigureEvidence,
    NotCounted,
    OwnTransfer,
    OwnTransfers,
)
from projections.insights import View
from projections.ports import Rows

T = TypeVar("T")

TAG = "Metrics"

Key = tuple[str, str]
"""Tenant and consumer."""

#: The most windows of one question.
WINDOWS_MAX = 8
#: The most days of a window of one's own, as of one that is named.
DAYS_MAX = 3_660
#: The most transactions that are gone through for one answer.
ROWS_MAX = 200_000
#: Days that can be asked for.
FIRST_DATE, LAST_DATE = date(1970, 1, 1), date(2199, 12, 31)
#: What a parameter of a metric may be: money is in minor units.
PARAMETER_MAX = 999_999_999

# A zero before a number would be another name of the same window.
_WINDOW = "(?:current_month|[1-9][0-9]{0,3}[dm])"
_METRIC = "[A-Z][0-9]{0,2}"
_ACCOUNT_ID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_AS_OF = "The reference day. The day of the last reading of a balance, if it is left out."


def _list_of(one: str, longest: int) -> Any:
    """Text of several of these, separated by commas."""
    return Annotated[str, StringConstraints(max_length=longest, pattern=f"^{one}(?:,{one})*$")]


def _truth(value: object) -> object:
    match value:
        case "true":
            return True
        case "false":
            return False
    raise ValueError("must be true or false")


def _in_range(value: date) -> date:
    if not FIRST_DATE <= value <= LAST_DATE:
        raise ValueError(f"must be a date from {FIRST_DATE} to {LAST_DATE}")
    return value


AskedDay = Annotated[Day, AfterValidator(_in_range)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Parameter = Annotated[int, Field(ge=0, le=PARAMETER_MAX), BeforeValidator(whole)]


class _Asking(Query):
    """How figures are asked for; lists are separated by commas."""

    as_of: AskedDay | None = Field(None, description=_AS_OF)
    window: _list_of(_WINDOW, 256) | None = Field(
        None,
        description="Windows, such as `90d`, `6m` (whole months before that of the reference day) or"
        " `current_month`. Those of each metric, if it is left out.",
    )
    accounts: _list_of(_ACCOUNT_ID, 4_096) | None = Field(
        None, description="Ids of accounts. All checking and savings accounts, if it is left out."
    )
    date_basis: Literal["booking", "value"] = Field(
        BOOKING, description="The day that decides where a transaction belongs."
    )
    include_pending: Truth = Field(False, description="Tell of pending transactions, too, apart.")


def _parameter_fields() -> dict[str, Any]:
    """The parameters of the metrics, each with what it means to whom."""
    return {
        name: (
            Parameter | None,
            Field(
                None,
                description="Of "
                + ", ".join(f"{metric.id} ({metric.parameters[name]} by default)" for metric in metrics)
                + ". Money is in minor units.",
            ),
        )
        for name, metrics in sorted(catalogue.parameters_of(METRICS.values()).items())
    }


def _query(name: str, **fields: Any) -> type[_Asking]:
    custom = {
        "from": (AskedDay | None, Field(None, description="The first day of a window of one's own.")),
        "to": (AskedDay | None, Field(None, description="Its last day, included.")),
    }
    return create_model(name, __base__=_Asking, **custom, **_parameter_fields(), **fields)


MetricsQuery = _query(
    "MetricsQuery",
    ids=(
        _list_of(_METRIC, 1_024) | None,
        Field(None, description="Ids of metrics, such as `B5`, or families, such as `B`. All, if left out."),
    ),
)
EvidenceQuery = _query(
    "EvidenceQuery",
    not_counted=(
        Truth,
        Field(False, description="Tell of the transactions that are not counted, too, and why."),
    ),
)


class TransfersQuery(Query):
    as_of: AskedDay | None = Field(None, description=_AS_OF)


class MetricDescription(msgspec.Struct, kw_only=True):
    id: str
    name: str
    version: int
    title: str
    unit: str
    """Money is in minor units of a figure's currency."""
    definition: str
    source: str
    """Who else publishes it, or `ours`."""
    parameters: dict[str, int]
    """By name the default."""
    windows: list[str]
    """Those that it is made for where none is asked for."""


class Catalogue(msgspec.Struct, kw_only=True):
    catalogue_version: str
    """Another one as soon as a formula changes."""
    metrics: list[MetricDescription]


class Figures(Common, kw_only=True):
    """Per metric and window one figure of each currency, or of each account; those without a value say why."""

    figures: list[Envelope]


# Questions


async def list_metrics(asked: Asked) -> Answer:
    return ok(
        Catalogue(
            catalogue_version=catalogue.VERSION, metrics=[described(metric) for metric in METRICS.values()]
        )
    )


def described(metric: Metric) -> MetricDescription:
    return MetricDescription(
        id=metric.id,
        name=metric.name,
        version=metric.version,
        title=metric.title,
        unit=metric.unit,
        definition=metric.definition,
        source=metric.source,
        parameters=dict(metric.parameters),
        windows=list(metric.windows),
    )


async def read_figures(asked: Asked) -> Answer:
    metrics, question = _metrics(asked.query.ids), _question(asked.query)
    body = await _told(
        asked, question, lambda rows, key: insights.document(rows, *key, metrics.values(), question)
    )
    if body is None:
        raise not_found()
    return Answer(body=body)


async def read_evidence(asked: Asked) -> Answer:
    metric = METRICS.get(asked.ids["metric"])
    if metric is None:
        raise not_found()
    question = _question(asked.query)
    not_counted = asked.query.not_counted
    return ok(
        await _told(
            asked,
            question,
            lambda rows, key: evidence.evidence_of(
                metric, _view(rows, key, question), not_counted=not_counted
            ),
        )
    )


async def list_transfers(asked: Asked) -> Answer:
    as_of = asked.query.as_of
    question = Question(as_of=None if as_of is None else day_of(as_of))
    return ok(
        await _told(asked, question, lambda rows, key: evidence.own_transfers(_view(rows, key, question)))
    )


async def _told(asked: Asked, question: Question, tell: Callable[[Rows, Key], T]) -> T:
    """What is told of a consumer: at once, or aside where that takes long."""
    with of_consumer(asked) as (rows, key):
        _check(rows, key, question)
        if not insights.is_long(rows, *key, question):
            return tell(rows, key)
    return await asked.http.read_models.aside(lambda rows: tell(rows, key))


def _view(rows: Rows, key: Key, question: Question) -> View:
    view = insights.look(rows, *key, question)
    if view is None:
        raise not_found()
    return view


def _metrics(ids: str | None) -> Mapping[str, Metric]:
    """The metrics that are asked for.

    Raises:
        Problem: 400; one of the ids names none.
    """
    if ids is None:
        return METRICS
    found, unknown = catalogue.chosen(_parts(ids), METRICS)
    if unknown:
        raise invalid("The query is not valid.", ids=["names a metric that is not in the catalogue"])
    return found


def _parts(text: str) -> list[str]:
    return text.split(",")


def _question(query: Any) -> Question:
    """
    Raises:
        Problem: 400.
    """
    given = query.model_dump(exclude_none=True)
    return Question(
        windows=_windows(given),
        as_of=None if query.as_of is None else day_of(query.as_of),
        accounts=None if query.accounts is None else tuple(sorted(set(_parts(query.accounts.lower())))),
        date_basis=VALUE if query.date_basis == VALUE else BOOKING,
        include_pending=query.include_pending,
        parameters={name: given[name] for name in catalogue.parameters_of(METRICS.values()) if name in given},
    )


def _windows(given: Mapping[str, Any]) -> tuple[str | Window, ...]:
    first, last = given.get("from"), given.get("to")
    if "window" in given:
        if first is not None or last is not None:
            raise invalid("The query is not valid.", window=["cannot go with from and to"])
        return _named(given["window"])
    if first is None and last is None:
        return ()
    if first is None or last is None:
        raise invalid(
            "The query is not valid.", **{"from" if first is None else "to": ["goes with the other one"]}
        )
    window = Window(day_of(first), day_of(last))
    if window.days < 1:
        raise invalid("The query is not valid.", to=["must not be before from"])
    if window.days > DAYS_MAX:
        raise invalid("The query is not valid.", to=[f"must not be more than {DAYS_MAX} days from it"])
    return (window,)


def _named(given: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_parts(given)))
    if len(names) > WINDOWS_MAX:
        raise invalid("The query is not valid.", window=["holds too many"])
    for name in names:
        try:
            window_of(name, day_of(FIRST_DATE))
        except ValueError:
            raise invalid("The query is not valid.", window=["is too long"]) from None
    return names


def _check(rows: Rows, key: tuple[str, str], question: Question) -> None:
    """
    Raises:
        Problem: 404, an account is not the consumer's; 400, there is too much to go through.
    """
    if question.accounts is not None:
        held = {account.id for account in rows.scan(ACCOUNTS, *key)}
        if not held.issuperset(question.accounts):
            raise not_found()
    if question == DEFAULT:
        return
    as_of = reference_day(rows, *key) if question.as_of is None else question.as_of
    if as_of is not None and booked_count(rows, *key, insights.begins_on(question, as_of)) > ROWS_MAX:
        raise invalid(
            f"There are more than {ROWS_MAX} transactions to go through.",
            **{"as_of" if question.windows == () else "window": ["begins too early"]},
        )


# Examples

_CONSUMER = "3f1f9d0c-5a0e-4c58-9f43-6a6c9a1f7d20"
_ACCOUNT = "1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10"
_COMMON = {
    "as_of": "2026-03-02",
    "known_at": "2026-03-02T05:12:40.000Z",
    "catalogue_version": "0f3c5a9d2b71",
}
_FIGURE = Envelope(
    metric="C1",
    name="cash_flow",
    account_id=None,
    value={"inflow": 241_050, "outflow": -198_325, "net": 42_725},
    unit="money",
    currency="EUR",
    window=Days(first="2026-02-01", last="2026-02-28", name="1m", days=28),
    as_of=_COMMON["as_of"],
    known_at=_COMMON["known_at"],
    n=2,
    covered_days=28,
    freshness=Freshness(
        balance_as_of="2026-03-02T05:12:31.000Z", transactions_as_of="2026-03-02T05:12:31.000Z"
    ),
    status="ok",
    reason=None,
    notes={},
    formula="cash_flow@1",
    evidence=f"/v1/consumers/{_CONSUMER}/metrics/C1/evidence?as_of=2026-03-02&window=1m",
    digest="2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
)
_SALARY = {
    "transaction_id": "b7e1a0c4-55d7-4e1f-8a3f-0c9d6f2e4a77",
    "account_id": _ACCOUNT,
    "booked_on": "2026-02-27",
    "value_date": "2026-02-27",
    "amount": 241_050,
    "currency": "EUR",
    "transaction_type": "transfer",
    "description": "VIR SALAIRE FEVRIER",
    "labels": [EvidenceLabel(name="WAGE", rule="fr.wage.salaire", brand=None)],
}
_SAVED = {
    **_SALARY,
    "transaction_id": "e2b0d1f6-9c4e-4c3b-b0a5-7f1d3e5a9c10",
    "amount": -20_000,
    "description": "VIR LIVRET A",
    "labels": [],
}
_PAIR = OwnTransfer(
    evidence="iban",
    outgoing=EvidenceRow(**_SAVED),
    incoming=EvidenceRow(
        **{
            **_SAVED,
            "transaction_id": "0d6a2f11-7b1c-4d2a-9e55-2f7b1c9d4e33",
            "account_id": "7d1f4e52-0c3a-4f5b-9a0e-2f6f0d9a3b21",
            "amount": 20_000,
        }
    ),
)

_PATH = "/v1/consumers/{consumer_id}"

ROUTES = (
    Route(
        method="GET",
        path="/v1/metrics",
        door=NATIVE,
        handler=list_metrics,
        tag=TAG,
        summary="List the metrics with what each of them is, to the letter",
        answers={200: Catalogue},
        example=Catalogue(
            catalogue_version=_COMMON["catalogue_version"],
            metrics=[
                MetricDescription(
                    id="B13",
                    name="low_balance_days",
                    version=1,
                    title="Days with a low balance",
                    unit="days",
                    definition="The days that end with a balance of at least 0 and less than the threshold.",
                    source="Heron",
                    parameters={"threshold": 10_000},
                    windows=["90d"],
                )
            ],
        ),
    ),
    Route(
        method="GET",
        path=f"{_PATH}/metrics",
        door=NATIVE,
        handler=read_figures,
        tag=TAG,
        summary="Read what metrics come to for a consumer",
        query=MetricsQuery,
        answers={200: Figures},
        problems=(404,),
        example=Figures(**_COMMON, figures=[_FIGURE]),
    ),
    Route(
        method="GET",
        path=f"{_PATH}/metrics/{{metric}}/evidence",
        door=NATIVE,
        handler=read_evidence,
        tag=TAG,
        summary="Read which transactions the figures of a metric count, and which they do not",
        query=EvidenceQuery,
        answers={200: Evidence},
        problems=(404,),
        example=Evidence(
            **_COMMON,
            figures=[
                FigureEvidence(
                    figure=_FIGURE,
                    counted=[EvidenceRow(**_SALARY)],
                    counted_total=1,
                    not_counted=[NotCounted(**_SAVED, reason=OWN_TRANSFER)],
                    not_counted_total=1,
                    truncated=False,
                )
            ],
        ),
    ),
    Route(
        method="GET",
        path=f"{_PATH}/transfers",
        door=NATIVE,
        handler=list_transfers,
        tag=TAG,
        summary="List the transfers between a consumer's own accounts, and what merely looks like one",
        query=TransfersQuery,
        answers={200: OwnTransfers},
        problems=(404,),
        example=OwnTransfers(
            **_COMMON,
            transfers=[_PAIR],
            transfers_total=1,
            suggestions=[],
            suggestions_total=0,
            truncated=False,
        ),
    ),
)
