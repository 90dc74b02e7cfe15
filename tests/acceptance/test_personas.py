"""People whose makers say what they show, through the whole product: all of it is found, and nothing else is invented.

The figures are those of the files' README, in the words of the two doors.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.harness import Client, product


class Shown(NamedTuple):
    """What a person shows. Amounts are euros, or what else the account is in."""

    earns: tuple[int, int] | None = None
    """Between which amounts a month's income by work lies."""
    wages: int | None = None
    """How many people's."""
    rent: Decimal | None = None
    mortgage: Decimal | None = None
    loans: tuple[int, ...] = ()
    """How many loans each lender has, the most first."""
    split_payments: int = 0
    rejections: int = 0
    check_rejections: int = 0
    seizures: int = 0
    gambles: bool = False
    overdraft_fees: bool = False
    incident_fees: bool = False
    reasons: tuple[str, ...] = ()
    categories: frozenset[str] = frozenset()
    """Labels that some of the cash flows must have."""


LARA = Shown(
    earns=(2_000, 2_600),
    wages=1,
    mortgage=Decimal("522.31"),
    loans=(2, 2),
    split_payments=2,
    categories=frozenset({"INSURANCE", "TELECOM", "POWER", "SPORT"}),
)
HERMIONE = Shown(
    earns=(1_900, 2_000),
    wages=1,
    rent=Decimal("590.00"),
    loans=(1,),
    split_payments=3,
    categories=frozenset({"POWER", "TELECOM", "TRANSPORT", "MULTIMEDIA", "SPORT", "SAVING"}),
)
PEOPLE = {
    "fr/harry_potter": Shown(
        earns=(2_500, 2_600),
        wages=1,
        rent=Decimal("879.78"),
        loans=(3, 2, 1),
        split_payments=3,
        rejections=2,
        overdraft_fees=True,
        incident_fees=True,
    ),
    "fr/lara_croft": LARA,
    # Said to be as Lara; the file shows four lenders with a loan each, and a rent in place of the mortgage.
    "en/sherlock_holmes": Shown(
        earns=(2_000, 2_900),
        wages=1,
        rent=Decimal("504.14"),
        loans=(1, 1, 1, 1),
        categories=frozenset({"INSURANCE", "TELECOM", "POWER", "SPORT"}),
    ),
    "nl/sarah_connor": LARA,
    "be-nl/dana_scully_be-nl": LARA,
    "fr/archibald_haddock": Shown(
        earns=(1_300, 1_310),
        wages=1,
        rent=Decimal("350.00"),
        loans=(1, 1),
        rejections=2,
        check_rejections=1,
        seizures=1,
        gambles=True,
        incident_fees=True,
    ),
    "fr/ron_weasley": Shown(
        earns=(4_400, 4_500),
        wages=2,
        mortgage=Decimal("1272.06"),
        loans=(1,),
        categories=frozenset({"INSURANCE", "TELECOM", "POWER"}),
    ),
    "fr/hermione_granger": HERMIONE,
    "es/raquel_murillo": HERMIONE._replace(categories=frozenset()),
    "fr/sherlock_holmes": Shown(
        rent=Decimal("653.22"),
        loans=(1,),
        categories=frozenset({"FREELANCE", "POWER", "TELECOM", "INSURANCE"}),
    ),
    "fr/harley_quinn": Shown(),
    "fr/societe_lambda_auto": Shown(reasons=("no_personal_checking_account",)),
    "fr/account_type_not_supported": Shown(reasons=("no_checking_account",)),
    "fr/no_checking_account": Shown(reasons=("no_checking_account",)),
    "fr/usage_not_supported": Shown(reasons=("no_personal_checking_account", "not_enough_transactions")),
    "fr/currency_not_supported": Shown(reasons=("not_enough_transactions",)),
    "fr/not_enough_transactions": Shown(reasons=("not_enough_transactions",)),
    "fr/ownership_not_supported": Shown(reasons=("not_enough_transactions",)),
}
#: Of these no more is said than that they are what they are.
NOT_LOOKED_INTO = frozenset(login for login, shown in PEOPLE.items() if shown.reasons)
EARNED = frozenset({"WAGE", "REGULAR_INCOME"})
PROPER_LOANS = (
    "LOAN_REPAYMENT",
    "LOAN_REPAYMENT_PERSONAL",
    "LOAN_REPAYMENT_REVOLVING",
    "LOAN_REPAYMENT_FAST",
)


async def test_each_person_shows_what_their_makers_say_and_nothing_else(
    tmp_path: Path, persona_files: Path
) -> None:
    async with product(tmp_path, data_set=persona_files) as (client, _, _):
        await client.set_up()
        found = {login: await differences(client, login, shown) for login, shown in PEOPLE.items()}
    assert {login: differing for login, differing in found.items() if differing} == {}


async def test_a_person_without_a_name_is_analysed_all_the_same(tmp_path: Path, persona_files: Path) -> None:
    async with product(tmp_path, data_set=persona_files) as (client, _, _):
        await client.set_up()
        assert await differences(client, "fr/no_owner_name", LARA) == []


async def differences(client: Client, login: str, shown: Shown) -> list[str]:
    user = await client.a_user()
    await client.connect(user, login)
    latest = await client.sync(user)
    assert {sync["status"] for sync in latest} == {"SUCCESS"}, latest
    insights = await client.qard("GET", f"/users/{user}/banking-credit-insights")
    figures = await metrics(client, user, "I1,I2,I3,K1,K6,K7,K8,K13")
    if login in NOT_LOOKED_INTO:
        compared = [("reasons", insights["reasons"], list(shown.reasons))]
    else:
        compared = [*of_the_insights(insights, shown), *of_the_metrics(figures, shown)]
    return [f"{what}: {seen}, expected {wanted}" for what, seen, wanted in compared if seen != wanted]


async def metrics(client: Client, user: str, ids: str) -> dict[str, Any]:
    answer = await client.ask("GET", f"/v1/consumers/{user}/metrics?ids={ids}", expect=200)
    return {figure["metric"]: figure for figure in answer.body["figures"]}


def of_the_insights(insights: Any, shown: Shown) -> list[tuple[str, Any, Any]]:
    loans, risks = insights["loans"], insights["risks"]
    lenders = Counter(
        loan["lender"] for loan in loans["repayments"]["loans"] if loan["category"] in PROPER_LOANS
    )
    rejections, checks = (risks["incidents"][name] for name in ("payment_rejections", "check_rejections"))
    fees = len(rejections["fees_transactions"]) + len(checks["fees_transactions"])
    fees += risks["overdraft"]["intervention_fees"]["count"]
    categories = {category for flow in insights["cash_flows"] for category in flow["categories"]}
    return [
        ("status", insights["status"], "ok"),
        ("loans by lender", tuple(sorted(lenders.values(), reverse=True)), shown.loans),
        ("mortgage", of_category(loans, "LOAN_REPAYMENT_REAL_ESTATE"), shown.mortgage),
        ("split payments", loans["split_payments"]["count"], shown.split_payments),
        ("collected debts", loans["debt_collection"]["count"], 0),
        ("rejections", rejections["count"], shown.rejections),
        ("rejected cheques", checks["count"], shown.check_rejections),
        ("seizures", risks["heavy_failures"]["bank_account_seizure"]["count"], shown.seizures),
        ("direct recoveries", risks["heavy_failures"]["direct_recovery_of_debt"]["count"], 0),
        ("gambles", risks["gambling"]["outgoing"]["count"] > 0, shown.gambles),
        ("overdraft fees", risks["overdraft"]["fees"]["count"] > 0, shown.overdraft_fees),
        ("fees of incidents", fees > 0, shown.incident_fees),
        ("rent", rent_of(insights), shown.rent),
        ("earned a month", is_between(earned_of(insights), shown.earns), True),
        ("wages", wages_of(insights), shown.wages if shown.wages is not None else wages_of(insights)),
        ("categories that are missing", sorted(shown.categories - categories), []),
    ]


def of_category(loans: Any, category: str) -> Decimal | None:
    found = [-loan["usual_amount"] for loan in loans["repayments"]["loans"] if loan["category"] == category]
    return found[0] if len(found) == 1 else None


def flows_of(insights: Any, categories: frozenset[str]) -> list[Any]:
    return [flow for flow in insights["cash_flows"] if flow["category"] in categories]


def rent_of(insights: Any) -> Decimal | None:
    """What is paid each time, where it is always the same."""
    paid = {
        -sent["amount"] for flow in flows_of(insights, frozenset({"RENT"})) for sent in flow["transactions"]
    }
    return paid.pop() if len(paid) == 1 else None


def earned_of(insights: Any) -> Decimal:
    """By month, the mean over those that have any."""
    months: Counter[str] = Counter()
    for flow in flows_of(insights, EARNED):
        for month in flow["calendar"]:
            months[month["month"]] += month["amount"]
    return sum(months.values(), Decimal()) / max(len(months), 1)


def wages_of(insights: Any) -> int:
    return len(flows_of(insights, EARNED))


def is_between(amount: Decimal, bounds: tuple[int, int] | None) -> bool:
    return bounds is None or bounds[0] <= amount <= bounds[1]


def of_the_metrics(figures: dict[str, Any], shown: Shown) -> list[tuple[str, Any, Any]]:
    """The same in the native door's words: minor units, of a year."""
    gambled = figures["K7"]["value"]["outgoing"]["count"]
    return [
        ("K1", figures["K1"]["value"]["count"], shown.rejections),
        ("K6", figures["K6"]["value"]["count"], shown.seizures),
        ("K7", gambled > 0, shown.gambles),
        ("K8 has loans", figures["K8"]["value"]["count"] > 0, bool(shown.loans or shown.mortgage)),
        ("K13 has a rent", bool((figures["K13"]["value"] or {}).get("streams")), shown.rent is not None),
    ]
