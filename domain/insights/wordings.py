"""Wordings: the words that name the other side, the same every month, without how it was paid and references.

`PRLV SEPA FREE MOBILE ECH/220719 ID EMETTEUR/FR07ZZZ591778 REF/FMPMT-52` is `PRLV SEPA FREE MOBILE` to a stream, and
`FREE MOBILE` to a refund. Words that hold a digit are references, so are dates and names of months; banks put the
rest of what is of one payment alone behind words of their own, such as `MOTIF` and `MANDATE`.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Letters beyond these are not looked at: a wording may be ten thousand letters long.
LETTERS_MAX = 240
#: Nor words beyond these.
WORDS_MAX = 8

#: What stands in brackets, also where a wording is cut before the second one.
_BRACKETED = re.compile(r"\([^()]*\)?")
#: Initials: `D.G.F.I.P`.
_INITIALS = re.compile(r"(?<![^\W_])[^\W\d_](?:\.[^\W\d_])+(?![^\W_])\.?")
_SEPARATORS = re.compile(r"[\s/*:;,|\\]+")
#: Letters in a row; an apostrophe or an ampersand between letters does not part them.
_WORD = re.compile(r"[^\W\d_]+(?:['’&][^\W\d_]+)*")
_DIGIT = re.compile(r"\d")

#: After a word that names the other side, these begin what is of one payment alone.
_TAILS = frozenset(
    "ECH EMETTEUR MDT RUM ICS REF REFERENCE MOTIF MANDAT MANDATE MANDATO MANDAAT IDENT LIB"
    " CONCEPTO MEDEDELING OMSCHRIJVING KENMERK SCHULDEISER SCHULDEISERSREFERTE BANKREFERENTIE POLISNR"
    " KAARTNUMMER INCASSANTID".split()
)
#: How something was paid, in French, English, Spanish, Dutch and Czech: no word of these names the other side.
PAYMENT_WORDS = frozenset(
    "VIR VIREMENT VIREMENTS VERSEMENT PRLV PREL PRELVT PRELEVEMENT PRÉLÈVEMENT PRÉLEVEMENT SEPA EUROPEEN RECU REÇU"
    " EMIS ÉMIS INST INSTANTANE INSTANTANÉ PERM PERMANENT VR FAVEUR TIERS POUR VOTRE EN DE DU DES LA LE LES PAR A À"
    " AU D O CB CARTE PAIEMENT PMT ACHAT FACTURE FACT CONFRERE PART BEN COMMERCE ELECTRONIQUE NO NUMERO NUM CARD"
    " PAYMENT PURCHASE DEBIT CREDIT DIRECT TRANSFER TO FROM BY THE FASTER FP FPI FPO BACS BGC BAC CHAPS STO DD SO TYPE"
    " AUTOMATED VISA MASTERCARD MAESTRO BANCONTACT CONTACTLESS POS"
    " RECIBO RBO ADEUDO TRANSFERENCIA ABONO COMPRA TARJETA TARJ PAGO TRANSACCION EL UN FAVOR ORDEN DEL POR"
    " DOMICILIERING INCASSO OVERSCHRIJVING INSTANTOVERSCHRIJVING EUROPESE EURO VAN NAAR IN BETALING AANKOOP UUR U PAS"
    " PREVOD NA UCET Z UCTU VKLAD VYBER KARTOU".split()
)
#: What a refund says of itself.
_REFUND_WORDS = frozenset(
    "REMBOURSEMENT REMB RBT REMBT AVOIR ANNULATION RETOUR REFUND REFUNDED REVERSAL CREDITED CRÉDIT RETURN"
    " DEVOLUCION DEVOLUCIÓN REEMBOLSO TERUGBETALING RETOURNERING".split()
)
_MONTHS = frozenset(
    "JANVIER FÉVRIER FEVRIER MARS AVRIL MAI JUIN JUILLET AOÛT AOUT SEPTEMBRE OCTOBRE NOVEMBRE DÉCEMBRE DECEMBRE"
    " JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER"
    " ENERO FEBRERO MARZO ABRIL MAYO JUNIO JULIO AGOSTO SEPTIEMBRE OCTUBRE NOVIEMBRE DICIEMBRE"
    " JANUARI FEBRUARI MAART MEI JUNI JULI AUGUSTUS OKTOBER".split()
)
_LEGAL_FORMS = frozenset(
    "SA SAS SASU SARL EURL SNC SCA SCI LTD LIMITED PLC LLP LLC INC GMBH AG BV NV SPRL SRL SL SLU SPA AS SRO".split()
)
#: Those that are no word of a common language.
_FIRMS = _LEGAL_FORMS - {"AS"}
#: Before a legal form these are part of the firm's full name.
_COUNTRIES = frozenset("FRANCE ESPAÑA ESPANA SPAIN BELGIE BELGIUM BELGIQUE NEDERLAND UK EUROPE".split())

# A wording comes back every month, but for its digits: it matters where they stand, and not which they are.
_WORDINGS_MAX = 65_536
_SAME_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def stream_root(wording: str) -> str:
    """What the wordings of a stream have in common, in capitals; empty where it is digits alone.

    Takes time in proportion to the length of the wording, up to `LETTERS_MAX`.
    """
    return _stream_root(_kept(wording))


def counterparty_root(wording: str) -> str:
    """Whom a wording names: `stream_root` without words of payments and refunds; empty where none is left."""
    return _counterparty_root(_kept(wording))


def names_a_firm(text: str) -> bool:
    """Whether a wording or a name has a legal form in it: `NUAGE SAS`."""
    return not _FIRMS.isdisjoint(_WORD.findall(text[:LETTERS_MAX].upper()))


def _kept(wording: str) -> bytes:
    """What is looked at of a wording, with the same digits everywhere."""
    return wording[:LETTERS_MAX].encode(errors="surrogatepass").translate(_SAME_DIGITS)


@lru_cache(maxsize=_WORDINGS_MAX)
def _stream_root(kept: bytes) -> str:
    return " ".join(_words(kept.decode(errors="surrogatepass")))


@lru_cache(maxsize=_WORDINGS_MAX)
def _counterparty_root(kept: bytes) -> str:
    words = _stream_root(kept).split()
    return " ".join(word for word in words if word not in PAYMENT_WORDS and word not in _REFUND_WORDS)


def _words(wording: str) -> list[str]:
    """The words that are the same every month, each once, in order."""
    text = _INITIALS.sub(lambda match: match[0].replace(".", ""), _BRACKETED.sub(" ", wording.upper()))
    words: list[str] = []
    is_named = False
    for token in _SEPARATORS.split(text):
        if _DIGIT.search(token):
            continue
        for word in _WORD.findall(token):
            if word in _TAILS and is_named:
                return _without_legal_form(words)
            if word in words or word in _MONTHS or (len(word) == 1 and word not in PAYMENT_WORDS):
                continue
            words.append(word)
            is_named = is_named or (word not in PAYMENT_WORDS and word not in _TAILS)
            if len(words) == WORDS_MAX:
                return _without_legal_form(words)
    return _without_legal_form(words)


def _without_legal_form(words: list[str]) -> list[str]:
    """`TOTAL SPRING FRANCE SAS` is `TOTAL SPRING`."""
    kept: list[str] = []
    for word in words:
        if word in _LEGAL_FORMS and len(kept) > 1:
            if kept[-1] in _COUNTRIES and len(kept) > 2:
                kept.pop()
        else:
            kept.append(word)
    return kept
