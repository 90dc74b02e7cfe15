"""What fields of rows say: of the provider's names and of those that clients bring rows under, whatever their shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.row_details import FIELDS, NOTHING, Counterparty, RowDetails, details_in


def test_the_other_side_as_budget_insight_names_it() -> None:
    given_iban = {
        "label": " Ada Lovelace ",
        "account_scheme_name": "iban",
        "account_identification": "fr76 3000 1007 9412 3456 7890 185",
        "type": "creditor",
    }
    found = details_in({"counterparty": given_iban, "state": "parsed", "webid": "w1"})
    assert found == RowDetails(
        counterparty=Counterparty(iban="fr76 3000 1007 9412 3456 7890 185", name="Ada Lovelace")
    )
    assert found.counterparty is not None
    assert found.counterparty.account == "FR7630001007941234567890185"


@pytest.mark.parametrize(
    ("scheme", "number"),
    [("bban", "12 34"), ("sort_code_account_number", "12 34"), ("cpan", None), ("", None)],
)
def test_what_is_no_iban_is_a_number_and_a_card_is_no_account(scheme: str, number: str | None) -> None:
    side = {"account_scheme_name": scheme, "account_identification": "12 34", "label": "A"}
    assert details_in({"counterparty": side}).counterparty == Counterparty(number=number, name="A")


def test_what_a_client_brings() -> None:
    fields = {
        "counter_party": {
            "iban": "DE75512108001245126199",
            "account_number": "1245126199",
            "bic": "SOGEDEFF",
            "bank_code": "51210800",
            "holder_name": "Grace Hopper",
            "holder_address": {"country": "DE"},
        },
        "bank_references": {"unstructured": "Rent", "structured": "RF18", "end_to_end": "E2E-1"},
        "bank_transaction_code": {"code": "PMNT", "sub_code": "RCDT", "description": "Transfer"},
        "reference": "R-1",
        "method": "TRANSFER",
        "state": "PROCESSED",
        "category_ids": ["95cc6d01-1abb-49e7-80e7-25217ed29690"],
        "category_tag_ids": ["a"],
        "labels": {"own": "yes"},
    }
    assert details_in(fields) == RowDetails(
        counterparty=Counterparty(
            iban="DE75512108001245126199",
            number="1245126199",
            bic="SOGEDEFF",
            bank_code="51210800",
            name="Grace Hopper",
            country="DE",
        ),
        reference="R-1",
        unstructured="Rent",
        structured="RF18",
        end_to_end="E2E-1",
        code="PMNT",
        sub_code="RCDT",
        code_description="Transfer",
        method="TRANSFER",
        state="PROCESSED",
        category_ids=("95cc6d01-1abb-49e7-80e7-25217ed29690",),
        category_tag_ids=("a",),
        labels={"own": "yes"},
    )
    assert set(fields) | {"counterparty"} == set(FIELDS)


@pytest.mark.parametrize("text", ["NOTPROVIDED", "notprovided", "NONREF", " "])
def test_what_stands_for_no_reference_is_none(text: str) -> None:
    assert details_in({"bank_references": {"end_to_end": text}}) == NOTHING


_odd: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["iban", "label", "end_to_end"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(FIELDS), _odd))
def test_no_shape_is_too_odd(fields: dict[str, Any]) -> None:
    found = details_in(fields)
    assert all(isinstance(id, str) for id in found.category_ids)
    assert found.counterparty is None or found.counterparty != Counterparty()
