"""The personas of Budget Insight's format: what their makers say they show is found, and nothing else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal
from fnmatch import fnmatch
from typing import NamedTuple

import pytest

from domain.categories.categorise import Label, labels_of
from domain.categories.vocabulary import FEE, INCIDENT, LABELS, LOAN_REPAYMENTS
from tests.conftest import SHARED_DATA

FOLDER = SHARED_DATA / "budget-insight-personas"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="the personas are not there: set PASSBOOK_SHARED_DATA to the folder that holds them",
)

INCIDENTS = {name for name, kind in LABELS.items() if kind.group == INCIDENT}
FEES_OF_INCIDENTS = {name for name, kind in LABELS.items() if kind.group == FEE} - {
    "BANK_FEES",
    "FEE_REVERSAL",
}

# By persona, what of its wordings each label is for; a credit is marked. Nothing else has these labels.
STATED: dict[str, dict[str, list[str]]] = {
    "fr/harry_potter": {
        "+WAGE": ["*FNAC DARTY PARTICIPATIONS*SALAIRE*"],
        "RENT": ["*HOMALONE LOYER"],
        "LOAN_REPAYMENT_PERSONAL": ["PRLV SEPA CREDIPAR*", "*PRET SOGEFINANC*"],
        "LOAN_REPAYMENT_REVOLVING": [
            "*ADVANZIA*CARTE ZERO*",
            "*HARRY POTTER*CARTE ZERO*",
            "*POTTER HARRY*CARTE ZERO*",
        ],
        "+LOAN_DRAWDOWN": ["*SOGEFINANCE*VERSEMENT PRET PERSONNEL*"],
        "SPLIT_PAYMENT": ["*3-4X CB ONEY*"],
        "+PAYMENT_REJECTION": ["REJET PRLV SEPA CREDIPAR", "REJET PRLV SPOTIFY"],
        "FEES_PAYMENT_REJECTION": ["F FRAIS PRLV IMP*"],
        "FEES_OVERDRAFT": ["F INT/FRAIS TX DEBIT*"],
        "BANK_FEES": ["Cotisation Compte*"],
        "TELECOM": ["*BOUYGUES TELECOM*"],
        "POWER": ["*EDF*"],
        "INSURANCE": ["*LUKO*"],
        "TRANSPORT": ["*NAVIGO*"],
        "GAMBLING": [],
    },
    "fr/lara_croft": {
        "+WAGE_SALARY_ADVANCE": ["AVANCE LARA CROFT*"],
        "LOAN_REPAYMENT_REAL_ESTATE": ["PRET IMMOBILIER ECH"],
        "INSURANCE_LOAN": ["REGLEMENT ASSU. CNP PRET HABITAT"],
        "LOAN_REPAYMENT_PERSONAL": ["*CREDIPAR*", "*COFIDIS*"],
        "SPLIT_PAYMENT": ["*3-4X CB ONEY*"],
        "INSURANCE": ["*PACIFICA*", "*LUKO*"],
        "SPORT": ["*BASIC FIT*"],
        "CARD_SETTLEMENT": ["*Tot Dif"],
        "FUEL": ["*CARREFOUR DAC*"],
        "CASH_WITHDRAWAL": ["*RETRAIT DAB*"],
        "GAMBLING": [],
        "RENT": [],
    },
    "fr/archibald_haddock": {
        "+WAGE": ["*salaire Micromania"],
        "RENT": ["*CITYA*Loyer"],
        "ACCOUNT_SEIZURE": ["BLOCAGE SAISIE ADM TIERS DET*"],
        "FEES_ACCOUNT_SEIZURE": ["* Frais Saisie Sur Compte"],
        "GAMBLING": ["CB WINAMAX*", "Cb Zeturf*", "FDJ VERSEMENT"],
        "FEES_INTERVENTION": ["FRAIS D'INCIDENTS*"],
        "FEES_PAYMENT_REJECTION": ["F FRAIS PRELEVEMENT IMPAYE*"],
        "FEES_CHECK_REJECTION": ["F FRAIS FORFAIT CHEQUE REJETE*"],
        "+PAYMENT_REJECTION": ["IMPAYE - PRLV*"],
        "+CHECK_REJECTION": ["REJET CHEQUE*"],
        "LOAN_REPAYMENT_PERSONAL": ["*ONEY*", "*BANQUE CASINO*"],
        "TOBACCO": ["*TABAC*"],
        "TELECOM": ["PRLV SEPA LA POSTE TELECOM*"],
    },
    "fr/ron_weasley": {
        "+WAGE": ["VIR * WEASLEY * PAYE"],
        "LOAN_REPAYMENT_REAL_ESTATE": ["PRET IMMOBILIER ECH"],
        "INSURANCE_LOAN": ["*CNP PRET HABITAT"],
        "LOAN_REPAYMENT_PERSONAL": ["*CA CONSUMER FI*"],
        "INSURANCE": ["*Acommeassure"],
        "TELECOM": ["*FREE MOBILE*", "PRELEVEMENT Orange*"],
        "POWER": ["*Total Direct Energie"],
        "INCOME_TAX": ["*IMPOT REVENUS*"],
        "GAMBLING": [],
    },
    "fr/hermione_granger": {
        "+WAGE": ["*ALGOAN SALAIRE"],
        "RENT": ["VIR INST LOYER*"],
        "LOAN_REPAYMENT_PERSONAL": ["PRELEVEMENT DE COFIDIS*"],
        "SPLIT_PAYMENT": ["COFIDIS POUR AMAZON*"],
        "SAVING": ["*Epargne"],
        "CARD_SETTLEMENT": ["DEBIT CARTE BANCAIRE DIFFERE"],
        "+TRANSFER": ["Releve differe Carte"],
        "POWER": ["*EDF*"],
        "TELECOM": ["*FREE MOBILE*"],
        "TRANSPORT": ["*TCL*"],
        "MULTIMEDIA": ["*CANALSAT*", "*AMAZON PRIME*"],
        "SPORT": ["*FITNESS PARK*", "*DECATHLON*"],
    },
    "fr/sherlock_holmes": {
        "+FREELANCE": ["*UBER PAYMENTS*"],
        "RENT": ["*LOYER"],
        "POWER": ["*EDF*"],
        "TELECOM": ["*FREE TELECOM*", "PRELEVEMENT SFR*"],
        "INSURANCE": ["*MAIF*"],
        "SAVING": ["VIR DE SHERLOCK HOLMES LIVRET A"],
        "+DISSAVING": ["VIR DE SHERLOCK HOLMES LIVRET A"],
        "LOAN_REPAYMENT_PERSONAL": ["*VOLKSWAGEN BANK*"],
        "SPLIT_PAYMENT": [],
        "GAMBLING": [],
    },
    "en/sherlock_holmes": {
        "+WAGE": ["ALGOAN LIMITED - SAL*"],
        "RENT": ["D&K ESTATES LTD*"],
        "LOAN_REPAYMENT_FAST": ["SATSUMA LOANS*", "LOANS 2 GO"],
        "+LOAN_DRAWDOWN": ["LOANS 2 GO*"],
        "LOAN_REPAYMENT": ["STUDENT LOANS CO*"],
        "LOAN_REPAYMENT_PERSONAL": ["VWFS*"],
        "POWER": ["BRITISH GAS*"],
        "INSURANCE": ["BISL*", "NWI HOME INSURANCE*"],
        "TELECOM": ["TESCO MOBILE*"],
        "SPORT": ["THE GYM*"],
        "BANK_FEES": ["ACCOUNT FEE"],
        "CASH_WITHDRAWAL": ["CASH WITHDRAWAL*"],
        "GAMBLING": [],
    },
    "es/raquel_murillo": {
        "+WAGE": ["ABONO DE NOMINA*"],
        "RENT": ["*ALQUILER"],
        "LOAN_REPAYMENT_PERSONAL": ["RECIBO COFIDIS*"],
        "SPLIT_PAYMENT": ["FINDIRECT*"],
        "POWER": ["*IBERDROLA*"],
        "TELECOM": ["*VODAFONE"],
        "SAVING": ["*AHORRO"],
        "SPORT": ["BASIC FIT*", "*DECATHLON*"],
        "CARD_SETTLEMENT": ["ADEUDO MENSUAL DE TARJETA"],
        "+TRANSFER": ["RECIBO MENSUAL*"],
    },
    "nl/sarah_connor": {
        "+WAGE": ["*SALARIS*"],
        "+WAGE_SALARY_ADVANCE": ["VOORSCHOT*"],
        "LOAN_REPAYMENT_REAL_ESTATE": ["HYPOTHEEK TERMIJN"],
        "INSURANCE_LOAN": ["BETALING VERZEKERING*HYPOTHEEK"],
        "LOAN_REPAYMENT_PERSONAL": ["*ALPHABET*", "*DEFAM*"],
        "SPLIT_PAYMENT": ["*KLARNA*"],
        "INSURANCE": ["*AUTOVERZEKERING*", "*WOONVERZEKERING"],
        "POWER": ["*VATTENFALL*"],
        "TELECOM": ["*T-MOBILE*"],
        "TRANSPORT": ["*NS AMSTERDAM*"],
        "SPORT": ["*BASIC-FIT*", "*DECATHLON*"],
        "GAMBLING": [],
    },
    "be-nl/dana_scully_be-nl": {
        "+WAGE": ["*LOON NEFAB*"],
        "+WAGE_SALARY_ADVANCE": ["VOORSCHOT*"],
        "LOAN_REPAYMENT_REAL_ESTATE": ["HYPOTHEEKLENING TERMIJN"],
        "INSURANCE_LOAN": ["*AG INSURANCE HYPOTHEEKLENING"],
        "LOAN_REPAYMENT_PERSONAL": ["*ALPHABET*", "*COFIDIS*"],
        "SPLIT_PAYMENT": ["*KLARNA*"],
        "INSURANCE": ["*AUTOVERZEKERING*", "*WONINGVERZEKERING"],
        "POWER": ["*ENGIE*"],
        "TELECOM": ["*PROXIMUS*"],
        "TRANSPORT": ["*NMBS*"],
        "GAMBLING": [],
    },
}
WITHOUT_INCIDENTS = [
    *("fr/lara_croft", "en/sherlock_holmes", "nl/sarah_connor", "be-nl/dana_scully_be-nl"),
    *("fr/hermione_granger", "es/raquel_murillo", "fr/ron_weasley", "fr/sherlock_holmes"),
]
# How many loans of each lender, as their makers state them; the lenders' names are ours.
LENDERS = {
    "fr/harry_potter": {"Advanzia", "Credipar", "Sogefinancement"},
    "fr/lara_croft": {"Credipar", "Cofidis"},
    "fr/archibald_haddock": {"Oney", "Floa"},
    "fr/ron_weasley": {"CA Consumer Finance"},
    "fr/hermione_granger": {"Cofidis"},
    "es/raquel_murillo": {"Cofidis"},
    "nl/sarah_connor": {"Alphabet", "Defam"},
    "be-nl/dana_scully_be-nl": {"Alphabet", "Cofidis"},
}
#: The most that may stay without a label, in hundredths of what goes out: transfers to people.
UNLABELLED_MAX = {
    "fr/harry_potter": 12,
    "en/sherlock_holmes": 13,
    "es/raquel_murillo": 3,
    "fr/hermione_granger": 3,
}


class Written(NamedTuple):
    wording: str
    amount: int
    labels: tuple[Label, ...]


def rows_of(persona: str) -> list[Written]:
    document = json.loads((FOLDER / f"{persona}.json").read_text(), parse_float=Decimal)
    rows = []
    for connection in document["connections"]:
        for account in connection["accounts"]:
            for row in account["transactions"]:
                wording, amount = row["original_wording"], int(round(row["value"] * 100))
                rows.append(Written(wording, amount, labels_of(wording, "unknown", amount)))
    return rows


@pytest.mark.parametrize("persona", STATED)
def test_what_the_makers_state_is_found_and_nothing_else(persona):
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows_of(persona):
        for label in row.labels:
            found[("+" if row.amount > 0 else "") + label.name].add(row.wording)
    for label, patterns in STATED[persona].items():
        strangers = {one for one in found[label] if not any(fnmatch(one, quoted(p)) for p in patterns)}
        assert not strangers, (label, strangers)
        for pattern in patterns:
            assert any(fnmatch(one, quoted(pattern)) for one in found[label]), (label, pattern)


def quoted(pattern: str) -> str:
    """A star within a wording would stand for anything, as it does in patterns; brackets are what they are."""
    return re.sub(r"\[", "[[]", pattern)


@pytest.mark.parametrize("persona", WITHOUT_INCIDENTS)
def test_who_has_no_incident_gets_none(persona):
    names = {label.name for row in rows_of(persona) for label in row.labels}
    assert not names & INCIDENTS
    assert not names & FEES_OF_INCIDENTS


@pytest.mark.parametrize(("persona", "lenders"), LENDERS.items())
def test_lenders_are_known_by_name(persona, lenders):
    mortgage = "LOAN_REPAYMENT_REAL_ESTATE"
    found = {
        label.brand
        for row in rows_of(persona)
        for label in row.labels
        if label.name in LOAN_REPAYMENTS and label.name != mortgage
    }
    assert found == lenders


@pytest.mark.parametrize("persona", STATED)
def test_little_that_goes_out_is_without_a_label(persona):
    outflow = [row for row in rows_of(persona) if row.amount < 0]
    unlabelled = sum(row.amount for row in outflow if not row.labels)
    share = 100 * unlabelled / sum(row.amount for row in outflow)
    assert share <= UNLABELLED_MAX.get(persona, 3), f"{share:.1f} %"


def test_a_business_pays_its_bank_and_the_treasury():
    found = {label.name for row in rows_of("fr/societe_lambda_auto") for label in row.labels}
    assert found >= {"BANK_FEES", "ACCOUNT_SEIZURE", "FEES_ACCOUNT_SEIZURE", "PERSO_TAX", "SUPPLIER", "FUEL"}
    assert not found & {"WAGE", "GAMBLING", "RENT"}
