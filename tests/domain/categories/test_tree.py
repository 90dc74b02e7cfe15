"""The category tree: every label has its place, and every id is for ever."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.categories import tree
from domain.categories.tree import BY_ID, CATEGORIES, UNCATEGORISED, categories_of, category_of, label_of
from domain.categories.vocabulary import LABELS

#: The labels of the first version, and a digest of their ids.
_FIRST = """
    WAGE WAGE_BONUS WAGE_ADVANCE_PAYMENT WAGE_SALARY_ADVANCE ALLOWANCE ALLOWANCE_DISABILITY
    ALLOWANCE_FAMILY ALLOWANCE_HEALTH ALLOWANCE_HOUSING ALLOWANCE_INCOME_SUPPORT ALLOWANCE_UNEMPLOYMENT
    FREELANCE REGULAR_INCOME RENTAL_INCOME RETIREMENT_PENSION REVERSIONARY_PENSION STATE_SUBSIDY
    RECEIVED_ALIMONY INTEREST HEALTH_REIMBURSEMENT TAX_REFUND REFUND DISSAVING GAMBLING_GAIN
    CASH_DEPOSIT CHECK_DEPOSIT SALES OTHER_ENTRY LOAN_REPAYMENT LOAN_REPAYMENT_REAL_ESTATE
    LOAN_REPAYMENT_PERSONAL LOAN_REPAYMENT_REVOLVING LOAN_REPAYMENT_FAST SPLIT_PAYMENT LOAN_DRAWDOWN
    INSURANCE_LOAN DEBT_COLLECTION BAILIFF RENT POWER WATER TELECOM INSURANCE HEALTH GROCERIES TRANSPORT
    FUEL EDUCATION HOUSEHOLD PAID_ALIMONY REGULAR_EXPENSE MULTIMEDIA SPORT RESTAURANT SHOPPING TRAVEL
    TOBACCO DONATION GAMBLING CASH_WITHDRAWAL CHECK CARD_SETTLEMENT PAYROLL SUPPLIER INCOME_TAX
    HOUSING_TAX PERSO_TAX SOCIAL_CHARGES BANK_FEES FEES_OVERDRAFT FEES_INTERVENTION
    FEES_PAYMENT_REJECTION FEES_CHECK_REJECTION FEES_DIRECT_DEBT_RECOVERY FEES_PREVENTIVE_SEIZURE
    FEES_ACCOUNT_SEIZURE FEE_REVERSAL PAYMENT_REJECTION CHECK_REJECTION ACCOUNT_SEIZURE
    DIRECT_DEBT_RECOVERY PROVISION_DIRECT_DEBT_RECOVERY PROVISION_PREVENTIVE_SEIZURE TRANSFER SAVING
""".split()
_DIGEST = "59511e7e7a9fae8d93675314827f746d08c5b681a95a8f61f1da1a8e059743ef"
_CARREFOUR = "ec806051-05b0-52a5-81f3-ed804f0acd2a"

_ids = st.sampled_from([category.id for category in CATEGORIES])


def named(name: str) -> str:
    (found,) = (category.id for category in CATEGORIES if category.name == name)
    return found


def test_every_label_is_a_category_under_the_name_that_people_read() -> None:
    for label, kind in LABELS.items():
        category = category_of(label)
        assert category.name == kind.title
        assert label_of(category.id) == label
        assert category.parents


def test_ids_are_uuids_and_each_is_of_one_category() -> None:
    assert len(BY_ID) == len(CATEGORIES)
    assert all(str(UUID(category.id)) == category.id for category in CATEGORIES)


def test_ids_that_were_given_out_stay_what_they_are() -> None:
    # The ids of the first version, in the order of their names: clients keep them, so none may ever change.
    first = sorted(f"{label} {category_of(label).id}" for label in _FIRST)
    assert sha256("\n".join(first).encode()).hexdigest() == _DIGEST
    assert named("Income") == "86d85b62-b946-49ff-b882-fd609ec71f61"
    assert UNCATEGORISED.id == "e3e9d918-0299-45b7-8ea5-4d9d3a156682"


def test_roots_are_groups_and_the_rest_leads_to_them() -> None:
    roots = {category.name for category in CATEGORIES if not category.parents}
    assert roots == {
        *("Income", "Essential expenses", "Other expenses", "Loans", "Taxes", "Bank charges"),
        *("Incidents", "Transfers", "Other", "Uncategorised"),
    }
    for category in CATEGORIES:
        assert category.id not in category.parents
        above = set(category.parents)
        for _ in CATEGORIES:
            above |= {parent for id in above for parent in BY_ID[id].parents}
        assert category.id not in above, "the tree has no circle"
        assert not category.parents or any(not BY_ID[id].parents for id in above)


def test_a_category_may_belong_to_several() -> None:
    parents = [BY_ID[id].name for id in category_of("FEES_PAYMENT_REJECTION").parents]
    assert parents == ["Bank charges", "Incidents"]
    assert category_of("INSURANCE_LOAN").id in tree.with_descendants([named("Loans")])
    assert category_of("INSURANCE_LOAN").id in tree.with_descendants([category_of("INSURANCE").id])


def test_what_belongs_to_a_category_is_found_through_all_that_lies_between() -> None:
    # Income > Benefits > Allowance > Housing allowance
    assert category_of("ALLOWANCE_HOUSING").id in tree.with_descendants([named("Income")])
    assert tree.with_descendants([category_of("RENT").id]) == {category_of("RENT").id}
    assert tree.with_descendants([]) == frozenset()


@given(st.lists(_ids, max_size=3), st.lists(_ids, max_size=3))
def test_descendants_of_several_are_those_of_each(some: list[str], others: list[str]) -> None:
    of = tree.with_descendants
    assert of([*some, *others]) == of(some) | of(others)
    assert of(of(some)) == of(some) >= set(some)


def test_the_categories_of_a_row() -> None:
    rent, wage = category_of("RENT"), category_of("WAGE")
    assert categories_of(["RENT", "WAGE", "RENT"]) == (rent, wage)
    assert categories_of([]) == (UNCATEGORISED,)
    # What was stated goes before what the rules say, and what nobody knows says nothing.
    assert categories_of(["RENT"], [wage.id.upper()]) == (wage,)
    assert categories_of(["RENT"], [named("Income"), wage.id]) == (BY_ID[named("Income")], wage)
    assert categories_of(["RENT"], ["x", ""]) == (rent,)
    assert label_of(named("Income")) is label_of(UNCATEGORISED.id) is label_of("x") is None


def test_a_brand_has_one_id_however_it_is_written() -> None:
    # uuid5 of "carrefour" in the brands' own namespace: it must not change.
    assert tree.brand_of("Carrefour").id == _CARREFOUR
    assert tree.brand_of("  CARREFOUR ").id == _CARREFOUR
    assert tree.brand_of("Carrefour City").id != _CARREFOUR
    assert tree.brand_of("Carrefour").name == "Carrefour"
