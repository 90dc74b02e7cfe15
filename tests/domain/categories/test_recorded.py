"""Recorded rows of a French account (Cozy Banks), and the codes of a Czech bank (Berka)."""

from __future__ import annotations

import csv
import gzip
from collections import Counter

from adapters.budget_insight.simulator.berka import minor as crowns
from adapters.budget_insight.simulator.berka import row as czech
from adapters.budget_insight.simulator.cozy import powens_type
from domain.categories.categorise import labels_of

# What each series is, as its inspectors called it. The salary of the recorded account bears no word for it: that it
# comes every month from a firm is for streams to find.
SERIES = {
    "sandbox_salary": "WAGE",
    "rent": "RENT",
    "loan_repayment": "LOAN_REPAYMENT",
    "loan_insurance": "INSURANCE_LOAN",
    "mobile_phone": "TELECOM",
    "sandbox_mobile": "TELECOM",
    "internet": "TELECOM",
    "transport_pass": "TRANSPORT",
    "electricity_edf": "POWER",
    "electricity_total": "POWER",
    "home_insurance": "INSURANCE",
    "payment_protection_insurance": "INSURANCE",
    "income_tax_local": "INCOME_TAX",
    # To another bank of the holder's, by standing order: it is not said that it is saved there.
    "standing_order_savings": "TRANSFER",
    "salary": None,
}
#: A house was bought by transfer; without the two rows of it, so many hundredths of what went out say nothing.
UNLABELLED_MAX = 9
PURCHASE_OF_A_HOME = "ACHAT IMMOBILIER"

# By operation (or type), symbol and direction, what the codes mean: codes.csv.
CODES = {
    ("PREVOD NA UCET", "SIPO", "out"): "HOUSEHOLD",
    ("PREVOD NA UCET", "POJISTNE", "out"): "INSURANCE",
    ("PREVOD NA UCET", "UVER", "out"): "LOAN_REPAYMENT",
    ("PREVOD NA UCET", "", "out"): None,
    ("PREVOD Z UCTU", "DUCHOD", "in"): "RETIREMENT_PENSION",
    ("PREVOD Z UCTU", "", "in"): None,
    ("PRIJEM", "UROK", "in"): "INTEREST",
    ("VKLAD", "", "in"): "CASH_DEPOSIT",
    ("VYBER", "", "out"): "CASH_WITHDRAWAL",
    ("VYBER", "SLUZBY", "out"): "BANK_FEES",
    ("VYBER", "SANKC. UROK", "out"): "FEES_OVERDRAFT",
    ("VYBER", "SIPO", "out"): "HOUSEHOLD",
    ("VYBER", "POJISTNE", "out"): "INSURANCE",
    ("VYBER", "UVER", "out"): "LOAN_REPAYMENT",
    ("VYBER KARTOU", "", "out"): "CASH_WITHDRAWAL",
}


def test_the_series_of_a_french_account_have_their_labels(cozy):
    with (cozy / "expected" / "recurring_members.csv").open(encoding="utf-8") as lines:
        series = {row["id"]: row["series"] for row in csv.DictReader(lines)}
    found: Counter[tuple[str, str | None]] = Counter()
    for row in operations(cozy):
        if row["id"] in series and row["value"]:
            labels = labels_of(
                row["original_wording"], powens_type(row["original_wording"]), cents(row["value"])
            )
            found[series[row["id"]], labels[0].name if labels else None] += 1
    assert set(found) == set(SERIES.items())


def test_little_of_a_french_account_is_without_a_label(cozy):
    outflow = unlabelled = 0
    for row in operations(cozy):
        wording, amount = row["original_wording"], cents(row["value"] or "0")
        if row["kind"] == "real" and amount < 0 and PURCHASE_OF_A_HOME not in wording:
            outflow += amount
            unlabelled += 0 if labels_of(wording, powens_type(wording), amount) else amount
    share = 100 * unlabelled / outflow
    assert share <= UNLABELLED_MAX, f"{share:.1f} %"


def test_the_codes_of_a_czech_bank_have_their_labels(berka):
    found = set()
    with gzip.open(berka / "transactions.csv.gz", "rt", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            row = czech(record)
            assert row.value is not None and abs(row.value) == crowns(record["amount"])
            if not row.value:
                continue
            # As it is with its type, and where nobody tells the type.
            for kind in (row.type, "unknown"):
                labels = labels_of(row.original_wording, kind, row.value)
                code = (
                    record["operation"] or record["type"],
                    record["k_symbol"],
                    "in" if row.value > 0 else "out",
                )
                found.add((code, labels[0].name if labels else None))
    assert {code for code, _ in found} <= set(CODES)
    assert found <= set(CODES.items())


def operations(folder):
    with (folder / "operations.csv").open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def cents(text: str) -> int:
    return round(float(text) * 100)
