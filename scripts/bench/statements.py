"""People who do not exist and their bank accounts, as the facts that a sync writes; one seed makes the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from domain import consumer_account, streams
from domain.consumer import NATURAL, AccountLinked, ConsumerRegistered, Details, Evidence
from domain.consumer_account import CHECKING, AccountDetails, AccountDiscovered, BalanceRefreshed, Owner
from domain.transactions import Transaction, date_of, day_of

TENANT = "default"
SEED = 20_240_607
BATCH = 500
FIRST_DAY = day_of(date(2019, 6, 1))
#: Every history covers five years, however many rows it has.
DAYS = 5 * 365
AS_OF = datetime(2024, 5, 31, 6, 0, tzinfo=UTC)

_KINDS = {
    "card": ("CARTE", 55),
    "transfer": ("VIR SEPA", 14),
    "order": ("PRLV SEPA", 14),
    "withdrawal": ("RETRAIT DAB", 6),
    "bank": ("FRAIS BANCAIRES", 3),
    "payback": ("AVOIR CB", 3),
    "loan_payment": ("ECHEANCE PRET", 3),
    "check": ("CHEQUE EMIS", 2),
}
_NAMES = tuple(_KINDS)
_WEIGHTS = tuple(weight for _, weight in _KINDS.values())
_MERCHANTS = (
    *(
        "BOULANGERIE DU PARC",
        "EPICERIE CENTRALE",
        "LIBRAIRIE DES ARTS",
        "PHARMACIE DE LA GARE",
        "GARAGE MARTIN",
    ),
    *("TELEPHONE MOBILE", "ELECTRICITE ET GAZ", "AGENCE DU LOGEMENT", "ASSURANCE MUTUELLE", "CHEMINS DE FER"),
    *("MARCHE COUVERT", "SALAIRE ATELIER BLEU", "IMPOTS", "JARDINERIE", "CINEMA LUX", "PISCINE MUNICIPALE"),
)
#: What Budget Insight shows of every transaction beside what is lifted out, where it says the same of all.
_SAID_OF_ALL: dict[str, Any] = {
    **dict.fromkeys(
        ("datetime", "rdatetime", "vdatetime", "bdatetime", "gross_value", "id_cluster", "comment")
    ),
    **dict.fromkeys(("original_value", "original_gross_value", "original_currency", "commission")),
    **dict.fromkeys(("commission_currency", "country", "counterparty", "details")),
    **{"state": "parsed", "active": True, "documents_count": 0, "informations": {}},
}


class Account(NamedTuple):
    consumer: str
    id: str

    @property
    def stream(self) -> str:
        return streams.consumer_account(TENANT, self.consumer, self.id)


class Person(NamedTuple):
    id: str
    connection: str
    accounts: tuple[Account, ...]

    @property
    def stream(self) -> str:
        return streams.consumer(TENANT, self.id)


def person(random: Random, accounts: int) -> Person:
    consumer_id = _uuid(random)
    return Person(
        consumer_id, _uuid(random), tuple(Account(consumer_id, _uuid(random)) for _ in range(accounts))
    )


def beginnings(random: Random, person: Person) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What is said of a person and their accounts before the first transaction, by stream."""
    details = Details(name="Camille Martin", first_name="Camille", last_name="Martin")
    links = tuple(
        AccountLinked(
            account_id=account.id,
            connection_id=person.connection,
            reference=str(number),
            evidence=Evidence(kind="iban", digest=random.randbytes(32)),
        )
        for number, account in enumerate(person.accounts)
    )
    yield person.stream, (ConsumerRegistered(type=NATURAL, details=details), *links)
    for number, account in enumerate(person.accounts):
        discovered = AccountDiscovered(
            connection_id=person.connection,
            provider="budget_insight",
            reference=str(number),
            currency="EUR",
            exponent=2,
            details=AccountDetails(
                kind=CHECKING,
                name=f"Compte {number + 1}",
                number=f"{random.randrange(10**11):011d}",
                iban=f"FR76{random.randrange(10**23):023d}",
                bank_name="Banque de test",
                owners=(Owner(first_name="Camille", last_name="Martin", full_name="Camille Martin"),),
            ),
        )
        yield account.stream, (discovered, BalanceRefreshed(as_of=AS_OF, balance=random.randrange(10**6)))


def fetched(random: Random, count: int, batch: int = BATCH) -> Iterator[consumer_account.TransactionsFetched]:
    """A history of `count` transactions over five years, oldest first, in facts of `batch` rows."""
    for start in range(0, count, batch):
        rows = [
            transaction(random, str(10**9 + index), FIRST_DAY + index * DAYS // count)
            for index in range(start, min(count, start + batch))
        ]
        yield from consumer_account.record_transactions(rows, {}, lambda: random.randbytes(16))


def transaction(random: Random, reference: str, day: int) -> Transaction:
    """A row with every field that the provider documents."""
    (kind,) = random.choices(_NAMES, _WEIGHTS)
    merchant = random.choice(_MERCHANTS)
    amount = (
        random.randrange(1_000, 350_000)
        if kind in ("transfer", "payback")
        else -random.randrange(100, 30_000)
    )
    wording = f"{_KINDS[kind][0]} {merchant} {random.randrange(10**6):06d}"
    booked = date_of(day).isoformat()
    seen = f"{booked} {random.randrange(24):02d}:{random.randrange(60):02d}:{random.randrange(60):02d}"
    return Transaction(
        reference=reference,
        booked_on=day,
        initiated_on=day - random.randrange(3),
        value_on=day,
        amount=amount,
        kind=kind,
        wording=wording,
        fields={
            **_SAID_OF_ALL,
            "application_date": booked,
            "bdate": booked,
            "formatted_value": f"{amount / 100:.2f} €",
            "simplified_wording": merchant,
            "stemmed_wording": merchant,
            "wording": merchant,
            "id_category": random.randrange(120),
            "date_scraped": seen,
            "last_update": seen,
            "card": "4974XXXXXXXX1234" if kind == "card" else None,
            "webid": f"{random.getrandbits(64):016x}",
        },
    )


def _uuid(random: Random) -> str:
    return str(UUID(bytes=random.randbytes(16), version=4))
