"""The native door to metrics: what there is, what it comes to, and which transactions it rests on."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest

from adapters.http.native import metrics as door
from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from domain.consumer_account import (
    AccountDetails,
    AccountDetailsChanged,
    BalanceRefreshed,
    TransactionsFetched,
)
from domain.insights import catalogue
from domain.insights.catalogue import METRICS
from domain.transactions import batch_of
from projections import insights, models
from tests.http.conftest import NOBODY, Caller, connected
from tests.http.test_native import FIRST, SECOND, TODAY, Someone, row, tell
from tests.http.world import NOON, MemoryReadModels, World

METRIC = "/v1/consumers/{consumer_id}/metrics"
OWN_PARAMETERS = {"ids", "as_of", "window", "from", "to", "accounts", "date_basis", "include_pending"}


def schema_of(path: str, status: int = 200) -> dict[str, Any]:
    made = document(ROUTES)
    content = made["paths"][path]["get"]["responses"][str(status)]["content"]["application/json"]
    return {**content["schema"], "components": made["components"]}


class Asking:
    """Asks for figures, and looks at the shape of each answer."""

    def __init__(self, call: Caller, someone: Someone) -> None:
        self.call, self.path = call, someone.path

    async def __call__(self, *parts: str, **asked: str) -> tuple[int, Any]:
        query = urlencode({name.rstrip("_"): value for name, value in asked.items()}, safe=",")
        path = "/".join((self.path, *(parts or ("metrics",))))
        status, answer, _ = await self.call("GET", f"{path}?{query}" if query else path)
        route = "/v1/consumers/{consumer_id}/metrics/{metric}/evidence" if "evidence" in parts else METRIC
        route = "/v1/consumers/{consumer_id}/transfers" if "transfers" in parts else route
        jsonschema_rs.validate(schema_of(route, status), answer)
        return status, answer


@pytest.fixture
async def someone(call: Caller, world: World) -> Someone:
    return Someone(world, *await connected(call, world))


@pytest.fixture
async def ask(call: Caller, world: World, someone: Someone) -> Asking:
    """Somebody with two accounts, a wage each month, groceries, and money put aside."""
    await someone.has_account()
    await someone.has_account(SECOND, SECOND, "2")
    theirs = {"label": "Me", "account_scheme_name": "iban", "account_identification": "FR76 9"}
    first = [
        *(
            row(n, TODAY - 30 * n, 2_000_00, wording="VIR SALAIRE ATELIER", kind="transfer")
            for n in range(1, 8)
        ),
        *(row(100 + n, TODAY - 7 * n, -50_00) for n in range(1, 40)),
        row(200, TODAY - 20, -300_00, kind="transfer", wording="VIR", fields={"counterparty": theirs}),
        row(201, TODAY, -12_00, pending=True),
    ]
    second = [row(300, TODAY - 19, 300_00, kind="transfer", wording="VIR")]
    reading = BalanceRefreshed(as_of=NOON, balance=900_00)
    savings = AccountDetailsChanged(details=AccountDetails(kind="SAVINGS", iban="FR769"))
    await tell(
        world,
        (someone.of_account(), reading),
        (someone.of_account(), TransactionsFetched(added=batch_of(first))),
        (someone.of_account(SECOND), savings),
        (someone.of_account(SECOND), reading),
        (someone.of_account(SECOND), TransactionsFetched(added=batch_of(second))),
    )
    models.finish(world.read_models.rows, [("ours", someone.user)])
    return Asking(call, someone)


# The catalogue


async def test_the_catalogue_says_what_each_metric_is(call: Caller, anybody: Caller) -> None:
    status, answer, _ = await call("GET", "/v1/metrics")
    jsonschema_rs.validate(schema_of("/v1/metrics"), answer)
    assert (status, answer["catalogue_version"]) == (200, catalogue.VERSION)
    assert [metric["id"] for metric in answer["metrics"]] == list(METRICS)
    (found,) = (metric for metric in answer["metrics"] if metric["id"] == "B13")
    assert found["parameters"] == {"threshold": 10_000}
    assert all(found[name] for name in ("title", "unit", "definition", "source", "windows", "version"))
    assert (await anybody("GET", "/v1/metrics"))[0] == 401


def test_every_parameter_of_a_metric_can_be_asked_for() -> None:
    made = document(ROUTES)["paths"]
    names = {p["name"] for p in made[METRIC]["get"]["parameters"] if p["in"] == "query"}
    parameters = set(catalogue.parameters_of(METRICS.values()))
    # None of them may be called as something else is.
    assert parameters and not parameters & (OWN_PARAMETERS | {"not_counted"})
    assert names == OWN_PARAMETERS | parameters
    assert all(p["schema"]["description"] for p in made[METRIC]["get"]["parameters"] if p["in"] == "query")


# Figures


async def test_without_anything_it_is_what_is_kept_and_what_would_be_made(ask: Asking) -> None:
    status, kept = await ask()
    assert (status, kept["as_of"], kept["catalogue_version"]) == (200, "2026-03-02", catalogue.VERSION)
    assert {figure["metric"] for figure in kept["figures"]} == set(METRICS)
    _, made = await ask(as_of="2026-03-02")
    assert made == kept
    assert (await ask(date_basis="booking", include_pending="false"))[1] == kept


async def test_what_takes_long_is_answered_aside_and_is_the_same(
    ask: Asking, call: Caller, someone: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers() -> list[Any]:
        insights_of = f"/api/v6/users/{someone.user}/banking-credit-insights"
        told = [
            await ask(),
            await ask(window="90d"),
            await ask("metrics", "C1", "evidence"),
            await ask("transfers"),
            await call("GET", insights_of),
        ]
        return [answer[:2] for answer in told]

    asides = []
    aside = MemoryReadModels.aside

    async def counted(models: MemoryReadModels, look: Any) -> Any:
        asides.append(look)
        return await aside(models, look)

    monkeypatch.setattr(MemoryReadModels, "aside", counted)
    at_once = await answers()
    assert not asides and {status for status, _ in at_once} == {200}
    monkeypatch.setattr(insights, "KEPT_ROWS_MAX", 0)
    assert await answers() == at_once
    assert len(asides) == len(at_once)


async def test_metrics_are_chosen_by_id_and_family(ask: Asking) -> None:
    _, answer = await ask(ids="B13,K")
    expected = {"B13", *(f"K{n}" for n in range(1, 19))}
    assert {figure["metric"] for figure in answer["figures"]} == expected
    for ids in ("B99", "B13,", "b13", "*"):
        status, problem = await ask(ids=ids)
        assert (status, list(problem["details"])) == (400, ["ids"])


async def test_cash_flow_of_a_window_of_ones_own(ask: Asking) -> None:
    # 3 weeks of groceries, one wage, and 300.00 that left one account and came into the other.
    asked = {"ids": "C1", "from_": "2026-02-09", "to": "2026-03-01"}
    _, answer = await ask(**asked)
    (figure,) = answer["figures"]
    assert {name: figure["value"][name] for name in ("inflow", "outflow", "net")} == {
        "inflow": 300_00,
        "outflow": -450_00,
        "net": -150_00,
    }
    assert figure["window"] == {"from": "2026-02-09", "to": "2026-03-01", "name": "custom", "days": 21}
    (only,) = (await ask(**asked, accounts=SECOND))[1]["figures"]
    assert (only["value"]["inflow"], only["n"]) == (300_00, 1)
    assert only["digest"] != figure["digest"]


async def test_several_windows_are_told_one_after_the_other(ask: Asking) -> None:
    _, answer = await ask(ids="C1", window="30d,current_month,1m")
    assert [figure["window"]["name"] for figure in answer["figures"]] == ["30d", "current_month", "1m"]


async def test_a_parameter_changes_what_it_is_of(ask: Asking) -> None:
    _, plain = await ask(ids="B13")
    _, higher = await ask(ids="B13", threshold="999999")
    assert [figure["value"] for figure in plain["figures"]] != [
        figure["value"] for figure in higher["figures"]
    ]
    assert all("threshold=999999" in figure["evidence"] for figure in higher["figures"])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"as_of": "2026-02-30"}, "as_of"),
        ({"as_of": "1969-12-31"}, "as_of"),
        ({"as_of": "2200-01-01"}, "as_of"),
        ({"window": "7"}, "window"),
        ({"window": "0d"}, "window"),
        ({"window": "07d"}, "window"),
        ({"window": "121m"}, "window"),
        ({"window": "3661d"}, "window"),
        ({"window": "1d,2d,3d,4d,5d,6d,7d,8d,9d"}, "window"),
        ({"window": "30d", "from_": "2026-01-01", "to": "2026-01-02"}, "window"),
        ({"from_": "2026-01-01"}, "to"),
        ({"to": "2026-01-01"}, "from"),
        ({"from_": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from_": "1990-01-02", "to": "2026-01-01"}, "to"),
        ({"accounts": "x"}, "accounts"),
        ({"accounts": f"{FIRST},"}, "accounts"),
        ({"date_basis": "posting"}, "date_basis"),
        ({"include_pending": "yes"}, "include_pending"),
        ({"threshold": "-1"}, "threshold"),
        ({"threshold": "1.5"}, "threshold"),
        ({"unknown": "1"}, "query"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    ask: Asking, asked: dict[str, str], field: str
) -> None:
    status, problem = await ask(**asked)
    assert (status, problem["code"], list(problem["details"])) == (400, "VALIDATION_ERROR", [field])


async def test_the_earliest_and_the_latest_day_can_be_asked_for(ask: Asking) -> None:
    for as_of in ("1970-01-01", "2199-12-31"):
        status, answer = await ask(as_of=as_of, window="3660d,120m,current_month")
        assert (status, answer["as_of"]) == (200, as_of)
        assert not [figure for figure in answer["figures"] if figure["reason"] == "computation_failed"]


async def test_whose_figures_are_asked_for_must_be_there(
    ask: Asking, call: Caller, theirs: Caller, someone: Someone
) -> None:
    assert (await ask(accounts=NOBODY))[0] == 404
    assert (await ask(accounts=f"{FIRST},{NOBODY}"))[0] == 404
    assert (await ask(accounts=FIRST.upper(), ids="B1"))[0] == 200
    assert (await call("GET", f"/v1/consumers/{NOBODY}/metrics"))[0] == 404
    assert (await theirs("GET", f"{someone.path}/metrics"))[0] == 404
    for path in ("/metrics/B99/evidence", "/metrics/b1/evidence"):
        assert (await call("GET", someone.path + path))[0] == 404


async def test_too_many_rows_to_go_through_are_refused(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ROWS_MAX", 20)
    assert (await ask())[0] == 200
    status, problem = await ask(window="3660d")
    assert (status, list(problem["details"])) == (400, ["window"])
    assert (await ask(as_of="2025-12-01"))[0] == 400
    assert (await ask("metrics", "C1", "evidence", window="30d"))[0] == 400


async def test_somebody_without_accounts_is_answered(call: Caller, someone: Someone) -> None:
    status, answer, _ = await call("GET", f"{someone.path}/metrics")
    jsonschema_rs.validate(schema_of(METRIC), answer)
    assert (status, {figure["metric"] for figure in answer["figures"]}) == (200, set(METRICS))
    assert {figure["reason"] for figure in answer["figures"]} == {"no_checking_or_savings_account"}


# Evidence


async def test_evidence_adds_up_where_the_figure_says_it_is(ask: Asking, call: Caller) -> None:
    _, answer = await ask(ids="C1", window="31d")
    (figure,) = answer["figures"]
    _, told, _ = await call("GET", f"{figure['evidence']}&not_counted=true")
    (found,) = told["figures"]
    assert found["figure"] == figure
    amounts = [row["amount"] for row in found["counted"]]
    assert sum(amounts) == figure["value"]["net"] and len(amounts) == figure["n"] == found["counted_total"]
    assert [(row["amount"], row["reason"]) for row in found["not_counted"]] == [(-12_00, "pending")]
    assert found["not_counted_total"] == 1 and found["truncated"] is False
    (wage,) = (row for row in found["counted"] if row["amount"] == 2_000_00)
    assert [label["name"] for label in wage["labels"]] == ["WAGE"]
    assert wage["labels"][0]["rule"]


async def test_what_is_left_out_says_why(ask: Asking) -> None:
    _, plain = await ask("metrics", "C2", "evidence", window="30d")
    assert plain["figures"][0]["not_counted"] is None
    _, answer = await ask("metrics", "C2", "evidence", window="30d", not_counted="true")
    reasons = {row["amount"]: row["reason"] for row in answer["figures"][0]["not_counted"]}
    assert reasons == {-300_00: "own_transfer", 300_00: "own_transfer", -12_00: "pending"}


async def test_own_transfers_are_told_with_both_sides(ask: Asking) -> None:
    _, answer = await ask("transfers")
    (pair,) = answer["transfers"]
    assert (pair["evidence"], pair["outgoing"]["account_id"]) == ("iban", FIRST)
    assert (pair["incoming"]["account_id"], pair["incoming"]["booked_on"]) == (SECOND, "2026-02-11")
    assert (answer["transfers_total"], answer["suggestions"], answer["as_of"]) == (1, [], "2026-03-02")
    assert (await ask("transfers", as_of="2026-03-01"))[1]["as_of"] == "2026-03-01"
