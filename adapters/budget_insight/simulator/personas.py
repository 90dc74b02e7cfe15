"""People this bank knows: about fourteen months of French-looking statements, made from a seed.

Each persona shows one thing an aggregator must get right. The names, shops and numbers are invented.
"""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from adapters.budget_insight.simulator.french_accounts import iban
from adapters.budget_insight.simulator.statements import (
    Counterparty,
    HeldAccount,
    Loan,
    Row,
    Statement,
    booked,
)

BANK = "Banque de l'Horizon"
BANK_CODE = 99_173
BRANCH_CODE = 4_021
BIC = "HRZNFRP1XXX"

MONTHS_OF_HISTORY = 14
WEEKEND = (5, 6)

GROCERS = (
    "EPICERIE DU COIN",
    "SUPER MARCHE JEAN",
    "HALLES DE LYON",
    "PRIMEUR DES ARTS",
    "BIO & CIE",
)
SMALL_SHOPS = ("BOULANGERIE PAUL M", "CAFE DES ARCADES", "TABAC PRESSE 12", "PIZZA ROMA LYON")
SHOPS = ("LIBRAIRIE L'ENCRE", "PHARMACIE BELLEC", "QUINCAILLERIE 7", "MODE & FIL", "GARAGE MOREL")
TRAVEL = ("GARE EXPRESS", "TAXI LYONNAIS", "STATION VERTE A6", "VELO EN VILLE")
FEES = {"intervention": 8_00, "rejected_debit": 20_00, "rejected_cheque": 50_00}


class History:
    """Writes one account's rows, from the oldest to the newest day."""

    def __init__(self, rng: Random, today: date, key: str = "0") -> None:
        self.rng = rng
        self.today = today
        self.key = key
        self.first = months_before(today, MONTHS_OF_HISTORY)
        self.card_mask = f"{rng.randrange(1000, 9999)}"
        self._rows: list[Row] = []

    def months(self) -> list[date]:
        return [months_before(self.today, back) for back in range(MONTHS_OF_HISTORY, -1, -1)]

    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.today - self.first).days + 1)]

    def write(
        self,
        day: date,
        value: int | None,
        type_: str,
        wording: str,
        *,
        simplified: str | None = None,
        ordered_on: date | None = None,
        coming: bool = False,
        card: str | None = None,
        counterparty: Counterparty | None = None,
        original: tuple[int, str] | None = None,
    ) -> None:
        """Write a row; a booked one that lies ahead of today has not happened yet and is left out."""
        if day > self.today and not coming:
            return
        self._rows.append(
            Row(
                webid="",
                date=day,
                rdate=ordered_on or day,
                vdate=None if coming else day,
                value=value,
                type=type_,
                original_wording=wording,
                simplified_wording=simplified or wording,
                coming=coming,
                card=card,
                counterparty=counterparty,
                original_value=original[0] if original else None,
                original_currency=original[1] if original else None,
            )
        )

    def pays_by_card(self, day: date, cents: int, shop: str, type_: str = "card") -> None:
        """Card payments are booked on the next working day."""
        self.write(
            working_day(day + timedelta(days=1)),
            -cents,
            type_,
            f"CARTE {day:%d/%m} {shop[:17]} CB*{self.card_mask}",
            simplified=shop[:17],
            ordered_on=day,
            card=f"{self.card_mask}XXXX",
        )

    def withdraws(self, day: date, cents: int) -> None:
        self.write(
            working_day(day),
            -cents,
            "withdrawal",
            f"RETRAIT DAB {day:%d/%m/%y} LYON 2 CB*{self.card_mask}",
            simplified="RETRAIT DAB LYON 2",
            ordered_on=day,
            card=f"{self.card_mask}XXXX",
        )

    def is_debited(self, day: date, cents: int, creditor: str, type_: str = "order") -> None:
        """Direct debits: `PRLV SEPA`, with the creditor as counterparty."""
        self.write(
            working_day(day),
            -cents,
            type_,
            f"PRLV SEPA {creditor} ECH/{day:%d%m%y} MDT/RUM{self.card_mask}",
            simplified=creditor,
            counterparty=Counterparty(creditor, None, None, "creditor"),
        )

    def receives(self, day: date, cents: int, sender: str, reason: str) -> None:
        self.write(
            working_day(day),
            cents,
            "transfer",
            f"VIR SEPA RECU /DE {sender} /MOTIF {reason}",
            simplified=f"{sender} {reason}",
            counterparty=Counterparty(sender, "iban", some_iban(sender), "debtor"),
        )

    def sends(self, day: date, cents: int, to: str, reason: str) -> None:
        self.write(
            working_day(day),
            -cents,
            "transfer",
            f"VIR SEPA EMIS /BEN {to} /MOTIF {reason}",
            simplified=f"{to} {reason}",
            counterparty=Counterparty(to, "iban", some_iban(to), "creditor"),
        )

    def is_charged(self, day: date, cents: int, wording: str) -> None:
        self.write(working_day(day), -cents, "bank", wording)

    def lives(self, weekly_groceries: tuple[int, int], outings_per_week: int) -> None:
        """Fill the weeks with card payments and a little cash."""
        rng = self.rng
        for day in self.days():
            if day.weekday() == 5:
                self.pays_by_card(day, rng.randint(*weekly_groceries), rng.choice(GROCERS))
            if rng.random() < outings_per_week / 7:
                self.pays_by_card(day, rng.randint(2_10, 34_90), rng.choice(SMALL_SHOPS))
            if rng.random() < 0.06:
                self.pays_by_card(day, rng.randint(9_90, 148_00), rng.choice(SHOPS))
            if rng.random() < 0.08:
                self.pays_by_card(day, rng.randint(4_50, 89_00), rng.choice(TRAVEL))
            if rng.random() < 0.04:
                self.withdraws(day, rng.choice((20_00, 40_00, 60_00, 80_00)))

    def rows(self) -> list[Row]:
        """Return the rows oldest first; rows of one day stay in the order they were written."""
        return sorted(self._rows, key=lambda row: row.date)

    def opening_with_lowest(self, lowest: int) -> int:
        """Return the opening balance with which the balance never lies below `lowest`."""
        return lowest - min([0, *running_totals(self.rows())])

    def opening_with_share_below_zero(self, share: float) -> int:
        """Return the opening balance with which about this share of rows ends below zero."""
        totals = sorted(running_totals(self.rows()))
        return -totals[int(len(totals) * share)] if totals else 0


def salaried(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    savings = History(rng, today, key="1")
    for month in current.months():
        current.receives(month.replace(day=28), 2_315_42, "ATELIERS MOREAU SAS", "SALAIRE")
        current.is_debited(month.replace(day=5), 742_00, "FONCIERE DES QUAIS LOYER")
        current.is_debited(month.replace(day=8), rng.randint(48_00, 97_00), "ENERGIE DE FRANCE X")
        current.is_debited(month.replace(day=12), 19_99, "TELECOM LIBRE MOBILE")
        current.is_debited(month.replace(day=12), 29_99, "TELECOM LIBRE BOX")
        current.is_debited(month.replace(day=15), 23_64, "MUTUELLE DU RHONE")
        current.is_charged(month.replace(day=3), 2_40, "COTISATION CARTE ET COMPTE")
        current.sends(month.replace(day=2), 150_00, "MME CLAIRE VASSEUR", "LIVRET A")
        savings.receives(month.replace(day=2), 150_00, "MME CLAIRE VASSEUR", "LIVRET A")
        if month.month == 1:
            savings.write(working_day(month), 71_38, "bank", "INTERETS CREDITEURS LIVRET A 2,40 %")
    current.lives((58_00, 112_00), outings_per_week=3)
    return [
        checking(current, "Compte courant", current.opening_with_lowest(212_35), shows_coming=True),
        account(savings, "Livret A", "livret_a", 4_820_00),
    ]


def freelancer(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    clients = ("STUDIO OPALE", "MAIRIE DE VIENNE", "CABINET LENOIR", "REVUE GRAPHITE")
    for month in current.months():
        for _ in range(rng.choice((1, 2, 2, 3))):
            day = month.replace(day=rng.randint(1, 28))
            invoice = f"FACTURE {month:%y%m}-{rng.randint(10, 99)}"
            current.receives(day, rng.randint(480_00, 1_640_00), rng.choice(clients), invoice)
        current.is_debited(month.replace(day=5), rng.randint(180_00, 420_00), "URSSAF RHONE ALPES")
        current.is_debited(month.replace(day=4), 610_00, "SCI LES TANNEURS LOYER")
        current.is_debited(month.replace(day=9), 54_90, "SUITE GRAPHIQUE PRO")
        current.is_debited(month.replace(day=11), 38_50, "ASSURANCE RC PRO")
        for _ in range(rng.randint(0, 3)):
            day = month.replace(day=rng.randint(6, 27))
            current.is_charged(day, FEES["intervention"], "COMMISSION D'INTERVENTION")
        if month.month % 3 == 1:
            current.is_charged(month.replace(day=2), rng.randint(9_00, 31_00), "INTERETS DEBITEURS")
    current.lives((34_00, 71_00), outings_per_week=2)
    opening = current.opening_with_share_below_zero(0.45)
    return [checking(current, "Compte professionnel", opening, usage="ORGA", company="NOE BARON EI")]


def rejected(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    for count, month in enumerate(current.months()):
        current.receives(month.replace(day=27), 1_486_10, "CLINIQUE DU PARC", "SALAIRE")
        current.is_debited(month.replace(day=4), 580_00, "OFFICE HABITAT LOYER")
        if count % 3 == 1:
            day = working_day(month.replace(day=21))
            cents = rng.randint(41_00, 96_00)
            current.is_debited(day, cents, "ENERGIE DE FRANCE X")
            back = working_day(day + timedelta(days=2))
            wording = "REJET PRLV SEPA ENERGIE DE FRANCE X MOTIF PROVISION INSUFFISANTE"
            current.write(back, cents, "payback", wording)
            current.is_charged(back, FEES["rejected_debit"], "FRAIS REJET PRLV PROVISION INSUFFISANTE")
        if count in (5, 11):
            day = working_day(month.replace(day=18))
            number = f"{rng.randrange(4_000_000, 5_000_000)}"
            current.write(day, -240_00, "check", f"CHEQUE {number}")
            back = working_day(day + timedelta(days=1))
            current.write(back, 240_00, "payback", f"REJET CHEQUE {number} SANS PROVISION")
            current.is_charged(back, FEES["rejected_cheque"], f"FRAIS REJET CHEQUE {number}")
        if count % 2:
            current.is_charged(month.replace(day=23), FEES["intervention"], "COMMISSION D'INTERVENTION")
    current.lives((61_00, 98_00), outings_per_week=2)
    return [checking(current, "Compte de dépôt", current.opening_with_share_below_zero(0.2))]


def loans(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    home = Repaid(History(rng, today, "1"), 214_000_00, 185, 1_067_37, 31, 240, day=5)
    car = Repaid(History(rng, today, "2"), 12_500_00, 490, 287_26, 20, 48, day=10)
    for month in current.months():
        current.receives(month.replace(day=26), 3_104_88, "LYCEE JEAN MERMOZ", "TRAITEMENT")
        current.is_debited(month.replace(day=14), 31_17, "ASSURANCE HABITATION GMX")
        for loan, name in ((home, "PRET IMMOBILIER"), (car, "PRET PERSONNEL")):
            due = month.replace(day=loan.day)
            wording = f"ECHEANCE {name} 000231{loan.rate:05d}"
            current.write(working_day(due), -loan.payment, "loan_repayment", wording)
            loan.repays(due, name)
    current.lives((74_00, 121_00), outings_per_week=3)
    return [
        checking(current, "Compte joint", current.opening_with_lowest(388_20), ownership="co-owner"),
        home.account("Prêt immobilier", "mortgage"),
        car.account("Prêt personnel", "consumercredit"),
    ]


def two_currencies(rng: Random, today: date) -> list[HeldAccount]:
    euros = History(rng, today)
    yen = History(rng, today, key="1")
    unvalued = History(rng, today, key="2")
    for month in euros.months():
        euros.receives(month.replace(day=25), 2_740_00, "NIPPON OPTIQUE EUROPE", "SALAIRE")
        euros.is_debited(month.replace(day=3), 815_00, "REGIE DU PARC LOYER")
        yen.receives(month.replace(day=20), 118_000, "NIPPON OPTIQUE KK", "PRIME")
        yen.sends(month.replace(day=24), rng.randint(20_000, 61_500), "TANAKA HIROSHI", "KYOTO")
        unvalued.receives(month.replace(day=10), 80_00, "M KENJI LAURENT", "EPARGNE")
        euros.sends(month.replace(day=10), 80_00, "M KENJI LAURENT", "EPARGNE")
    euros.lives((49_00, 88_00), outings_per_week=3)
    return [
        checking(euros, "Compte courant EUR", euros.opening_with_lowest(95_00)),
        checking(yen, "Compte en yens", yen.opening_with_lowest(54_321), currency="JPY"),
        account(unvalued, "Epargne Horizon Duo", "savings", None),
    ]


def twins(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    for month in current.months():
        current.receives(month.replace(day=28), 1_902_77, "MUSEE DES TISSUS", "SALAIRE")
        # Two children, two identical transfers: the same day, the same words, the same amount.
        for _ in range(2):
            current.sends(month.replace(day=6), 35_00, "CANTINE SCOLAIRE", "FORFAIT")
        current.is_debited(month.replace(day=5), 655_00, "FONCIERE DES QUAIS LOYER")
    for day in current.days():
        if day.weekday() == 2:
            for _ in range(rng.choice((2, 2, 3))):
                current.pays_by_card(day, 2_40, "CAFE DES ARCADES")
    current.lives((52_00, 90_00), outings_per_week=1)
    return [checking(current, "Compte courant", current.opening_with_lowest(140_00))]


def pending(rng: Random, today: date) -> list[HeldAccount]:
    current = History(rng, today)
    for month in current.months():
        current.receives(month.replace(day=27), 2_088_30, "TRANSPORTS URBAINS", "SALAIRE")
        current.is_debited(month.replace(day=5), 690_00, "REGIE DU PARC LOYER")
    current.lives((55_00, 99_00), outings_per_week=3)
    ahead = [working_day(today + timedelta(days=n)) for n in (1, 2, 4)]
    mask = f"{current.card_mask}XXXX"
    for day, cents, shop, original in (
        (ahead[0], 12_40, "CAFE DES ARCADES", None),
        (ahead[0], 86_15, "SUPER MARCHE JEAN", None),
        (ahead[1], 64_90, "CHEMINS DE FER", (-62_00, "CHF")),
    ):
        wording = f"PAIEMENT EN COURS {shop}"
        current.write(
            day,
            -cents,
            "card",
            wording,
            simplified=shop,
            ordered_on=today,
            coming=True,
            card=mask,
            original=original,
        )
    current.write(
        ahead[2],
        -41_50,
        "order",
        "PRLV SEPA A VENIR ENERGIE DE FRANCE X",
        simplified="ENERGIE DE FRANCE X",
        coming=True,
        counterparty=Counterparty("ENERGIE DE FRANCE X", None, None, "creditor"),
    )
    opening = current.opening_with_lowest(176_00)
    return [checking(current, "Compte courant", opening, shows_coming=True)]


class Persona(NamedTuple):
    accounts: Callable[[Random, date], list[HeldAccount]]
    shows: str


PERSONAS = {
    "salaried": Persona(salaried, "a salary, rent and card spending; a checking and a savings account"),
    "freelancer": Persona(freelancer, "irregular invoices and an account often in overdraft"),
    "rejected": Persona(rejected, "rejected direct debits and cheques, with their fees"),
    "loans": Persona(loans, "a mortgage and a consumer credit, repaid from a joint account"),
    "two_currencies": Persona(
        two_currencies, "accounts in euros and in yen, and one whose balance the bank does not show"
    ),
    "twins": Persona(twins, "genuine identical operations on the same day"),
    "pending": Persona(pending, "card payments and a debit that are not booked yet"),
}


def statement(name: str, seed: int, today: date) -> Statement:
    """Make what a persona holds on this day; other personas and earlier calls have no part in it."""
    rng = Random(f"{seed}:persona:{name}")
    return Statement(login=name, bank=BANK, accounts=PERSONAS[name].accounts(rng, today))


class Repaid:
    """A loan in equal payments: interest on what is left, the rest repays it."""

    def __init__(
        self, history: History, lent: int, rate: int, payment: int, paid: int, total: int, day: int
    ) -> None:
        self.history = history
        self.lent = lent
        self.rate = rate
        self.payment = payment
        self.paid_before = paid
        self.total = total
        self.day = day
        self.left = lent
        for _ in range(paid):
            self.left -= self._principal()
        self.opening = -self.left
        self.paid = paid

    def repays(self, due: date, name: str) -> None:
        if working_day(due) > self.history.today:
            return
        principal = self._principal()
        self.left -= principal
        self.paid += 1
        self.history.write(working_day(due), principal, "loan_repayment", f"CAPITAL REMBOURSE {name}")

    def account(self, name: str, kind: str) -> HeldAccount:
        today = self.history.today
        this_month = months_before(today, 0).replace(day=self.day)
        was_due = working_day(this_month) <= today
        last = this_month if was_due else months_before(today, 1).replace(day=self.day)
        following = months_before(today, -1 if was_due else 0).replace(day=self.day)
        begun = months_before(today, self.paid).replace(day=self.day)
        loan = Loan(
            type=kind,
            total_amount=self.lent,
            rate=self.rate,
            subscription_date=begun - timedelta(days=30),
            start_repayment_date=begun,
            maturity_date=months_before(begun, -self.total).replace(day=self.day),
            next_payment_amount=self.payment,
            next_payment_date=following,
            last_payment_amount=self.payment,
            last_payment_date=last,
            nb_payments_done=self.paid,
            nb_payments_total=self.total,
            account_label=name,
        )
        return account(self.history, name, "loan", self.opening, loan=loan)

    def _principal(self) -> int:
        # Half a cent up, in whole cents: rate is in hundredths of a percent a year.
        interest = (self.left * self.rate + 60_000) // 120_000
        return self.payment - interest


def checking(
    history: History,
    name: str,
    opening: int,
    *,
    currency: str = "EUR",
    usage: str = "PRIV",
    ownership: str = "owner",
    company: str | None = None,
    shows_coming: bool = False,
) -> HeldAccount:
    made = account(history, name, "checking", opening, currency=currency)
    made.usage = usage
    made.ownership = ownership
    made.company_name = company
    made.shows_coming = shows_coming
    return made


def account(
    history: History,
    name: str,
    type_: str,
    opening: int | None,
    *,
    currency: str = "EUR",
    loan: Loan | None = None,
) -> HeldAccount:
    """Close a history: the balance is the opening one plus every booked row."""
    number = history.rng.randrange(10**9, 10**10)
    rows = history.rows()
    made = HeldAccount(
        key=history.key,
        number=f"{number:011d}",
        # A loan is no payment account: it bears a number only.
        iban=None if loan else iban(BANK_CODE, BRANCH_CODE, number),
        bic=None if loan else BIC,
        original_name=name,
        type=type_,
        currency=currency,
        balance=None if opening is None else opening + sum(booked(row) for row in rows),
        opening_date=history.first - timedelta(days=history.rng.randint(200, 4000)),
        loan=loan,
        rows={},
    )
    for place, row in enumerate(rows):
        made.load(replace(row, webid=f"{history.key}-{place}"))
    return made


def running_totals(rows: list[Row]) -> list[int]:
    total = 0
    totals = []
    for row in rows:
        total += booked(row)
        totals.append(total)
    return totals


def months_before(day: date, months: int) -> date:
    """Return the first day of the month so many months earlier (later, when negative)."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def working_day(day: date) -> date:
    """Banks book on working days: a weekend moves to Monday."""
    while day.weekday() in WEEKEND:
        day += timedelta(days=1)
    return day


def some_iban(name: str) -> str:
    """Return the IBAN of somebody at another bank; the same name always has the same."""
    return iban(99_284, 1_117, Random(name).randrange(10**9, 10**10))
