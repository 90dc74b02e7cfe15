"""What the wordings of one stream have in common, and whom they name. The wordings are those of real banks, reworded."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.wordings import LETTERS_MAX, counterparty_root, stream_root


@pytest.mark.parametrize(
    ("wordings", "root", "name"),
    [
        pytest.param(
            [
                "PRLV SEPA FREE MOBILE ECH/220518 ID EMETTEUR/FR07Z",
                "PRLV SEPA FREE MOBILE ECH/220719 ID EMETTEUR/FR07ZZZ000001 MDT/FM-12-1 REF/FMPMT-34 LIB/X",
                "PRLV SEPA FREE MOBILE",
            ],
            "PRLV SEPA FREE MOBILE",
            "FREE MOBILE",
            id="references, and a wording that the bank cut",
        ),
        pytest.param(
            [
                "VIR SEPA RECU /DE NUAGE SAS /MOTIF 05/2018 PAIE",
                "VIR SEPA RECU /DE NUAGE SAS /MOTIF 07/2019 PAIE /REF NUAGE-S.1.M5",
            ],
            "VIR SEPA RECU DE NUAGE",
            "NUAGE",
            id="a reason that differs",
        ),
        pytest.param(
            ["VIR INST LOYER VM00612C7GK4WS01", "VIR INST LOYER VM00872HV4ADPS01"],
            "VIR INST LOYER",
            "LOYER",
            id="a code without a name of its own",
        ),
        pytest.param(
            [
                "PRLV TOTAL SPRING FRANCE SAS",
                "PRLV TOTAL SPRING (TOTAL DIRECT ENERGIE)",
                "PRLV TOTAL SPRING (TOTAL D",
            ],
            "PRLV TOTAL SPRING",
            "TOTAL SPRING",
            id="a legal form, and brackets",
        ),
        pytest.param(
            ["VIR SALAIRE MARS 2024 ALPHA", "VIR SALAIRE AVRIL 2024 ALPHA", "VIR SALAIRE 05/2024 ALPHA"],
            "VIR SALAIRE ALPHA",
            "SALAIRE ALPHA",
            id="names of months",
        ),
        pytest.param(
            ["PRELEVEMENT ONEY ACCORD CA 01942278955 CA 01942278955", "PRELEVEMENT ONEY ACCORD CA"],
            "PRELEVEMENT ONEY ACCORD CA",
            "ONEY ACCORD CA",
            id="a word that comes twice",
        ),
        pytest.param(
            ["PRLV SEPA D.G.F.I.P IMPOT 81700"], "PRLV SEPA DGFIP IMPOT", "DGFIP IMPOT", id="initials"
        ),
        pytest.param(
            ["TESCO MOBILE REFERENCE: 30000001700A-0022"], "TESCO MOBILE", "TESCO MOBILE", id="English"
        ),
        pytest.param(
            ["RECIBO (AD.SEPA) - 0507 IBERDROLA CLIENTES,SA"],
            "RECIBO IBERDROLA CLIENTES",
            "IBERDROLA CLIENTES",
            id="Spanish",
        ),
        pytest.param(
            ["DOMICILIERING VAN BASIC-FIT II BV SCHULDEISER NL10 MANDAAT 73 KENMERK NO73"],
            "DOMICILIERING VAN BASIC FIT II",
            "BASIC FIT II",
            id="Dutch",
        ),
        pytest.param(
            ["VIR PERM POUR: 3000301787 MOTIF: Epargne"],
            "VIR PERM POUR MOTIF EPARGNE",
            "MOTIF EPARGNE",
            id="a reason and nobody named before it",
        ),
        pytest.param(["", "12/03/2024 4974 99"], "", "", id="no word"),
    ],
)
def test_the_same_every_month(wordings, root, name):
    assert {stream_root(wording) for wording in wordings} == {root}
    assert {counterparty_root(wording) for wording in wordings} == {name}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PRLV SEPA FREE MOBILE", "PRLV SEPA FREE TELECOM"),
        ("CARTE AMAZON", "CARTE AMAZON PRIME"),
        ("VIR RON WEASLEY ZZ12 PAYE", "VIR HERMIONE WEASLEY ZZ12 PAYE"),
        ("PRLV SEPA CREDIPAR Motif : 101M3", "PRLV SEPA CREDIPAR 106 32 VOTRE IDE FR00"),
    ],
)
def test_different_things_stay_different(one, other):
    assert stream_root(one) != stream_root(other)


def test_a_refund_names_the_same_side():
    assert counterparty_root("CARTE 12/03 BOUTIQUE DU PORT") == counterparty_root("AVOIR CB BOUTIQUE DU PORT")


@given(st.text(st.sampled_from("AB09/( .'\ud800é"), max_size=30), st.randoms(use_true_random=False))
def test_it_does_not_matter_which_digits_there_are(wording, chance):
    other = "".join(chance.choice("0123456789") if letter.isdigit() else letter for letter in wording)
    assert stream_root(wording) == stream_root(other)
    assert counterparty_root(wording) == counterparty_root(other)


@given(st.text(max_size=400))
def test_any_text_has_a_root_that_is_its_own_root(wording):
    root = stream_root(wording)
    assert len(root) <= 3 * LETTERS_MAX
    assert stream_root(wording) == root


@pytest.mark.parametrize("wording", ["(" * 10_000, "A.B." * 5_000, "é" * 10_000, "X1 " * 5_000, "'a" * 9_000])
def test_a_hostile_wording_takes_no_long(wording):
    before = process_time()
    stream_root(wording)
    counterparty_root(wording)
    assert process_time() - before < 0.1
