"""Statement files: what one would add to a consumer's accounts, and recording that.

**Whose.** A statement's account is the one of its IBAN, or of its number at its bank, in one currency. The same IBAN as
a connected account's is evidence that both are one.

**Names of rows.** Banks' own names of rows are not as unique as they should be, and many banks give none. So a row's
reference is a digest: of the bank's name of it, its day and its amount; where there is no such name, of its account,
both days, its amount and its wording; and of its number among those that are equal in this. So a file that is brought
twice adds nothing, nor do two files that overlap, and two equal rows of one statement stay two. Equal rows of its
pages are counted on from page to page; a copy of a statement in the same file has the rows of the first.

**Pending rows** of a report within the day are gone once a statement of that day shows what became of them. What was
booked or is gone is not pending again when that report, or an older one, is brought once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from application import statement_files, uploads
from application.execute import Loaded, Outcome, Plan, Services, execute, follow, load
from application.ports import Context
from application.statement_files import (
    StatedBalance,
    StatedEntry,
    Statement,
    StatementFile,
    StatementUnreadable,
)
from application.uploads import STATEMENT, Upload
from domain import consumer, money, streams
from domain.consumer import AccountLinked
from domain.consumer_account import (
    CHECKING,
    UNKNOWN_KIND,
    AccountDetails,
    BalanceRefreshed,
    Open,
    Owner,
    TransactionsFetched,
)
from domain.transactions import Transaction, date_of

REFERENCE_SIZE = 16
#: Rows beyond which references are made in a thread, so that the loop stays free.
ROWS_INLINE_MAX = 500

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Brought(msgspec.Struct, frozen=True):
    """What a file says of one account: the rows under their references, and which statement has which."""

    upload: Upload
    """Its kind is unknown where the file says none."""
    supposed_kind: str
    """What kind of account it is where nobody has said one."""
    rows: Mapping[str, Transaction]
    by_statement: Mapping[int, tuple[str, ...]]
    """By a statement's place in the file: the references of its rows."""
    final_until: int | None
    """The last day of which the bank has said the last word; None where it has not."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the consumer's accounts a statement goes to, and why."""

    account_id: str
    is_new: bool
    evidence: str
    """`iban` or `number`: what names the account."""
    linked: bool
    """It is an account that something else brought, a bank for one; it is the same by its IBAN."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a statement comes to, or would come to."""

    target: Target
    new: int
    changed: int
    known: int


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a statement adds up to."""

    booked: Decimal
    pending: Decimal
    reconciles: bool | None
    """Whether its opening balance and its booked rows come to its closing balance; None where it does not have both."""


def sums_of(statement: Statement) -> Sums:
    booked = sum((row.amount or Decimal(0) for row in statement.entries if not row.pending), Decimal(0))
    pending = sum((row.amount or Decimal(0) for row in statement.entries if row.pending), Decimal(0))
    opening, closing = statement.opening, statement.closing
    reconciles = None
    if opening is not None and closing is not None:
        in_one = opening.currency == closing.currency == statement.currency
        reconciles = in_one and opening.amount + booked == closing.amount
    return Sums(booked=booked, pending=pending, reconciles=reconciles)


async def existing(services: Services, tenant: str, consumer_id: str) -> consumer.Registered:
    """The consumer whom a file is to be of: worth knowing before it is read.

    Raises:
        NotFound: there is no such consumer.
    """
    return consumer.registered((await load(services, streams.consumer(tenant, consumer_id))).state)


async def preview(
    services: Services, tenant: str, consumer_id: str, file: StatementFile
) -> Sequence[Effect | None]:
    """What recording a file would come to, by statement; None for each where the file cannot be recorded.

    Raises:
        NotFound: there is no such consumer.
        Unavailable: what is held already cannot be read now; ask again.
    """
    if file.problems:
        await existing(services, tenant, consumer_id)
        return [None] * len(file.statements)
    brought = await _brought(services, file)
    _, owner, changes = await _decide(services, tenant, consumer_id, brought)
    return _effects(file, brought, owner, changes)


async def record(
    services: Services, context: Context, consumer_id: str, file: StatementFile
) -> tuple[Outcome, Sequence[Effect]]:
    """Record all that a file says, in one append, and tell what it came to. The outcome's stream is the Consumer.

    Raises:
        StatementUnreadable: something in it is wrong. Nothing of it was recorded.
        NotFound: there is no such consumer.
        Unavailable: as `preview`.
    """
    if file.problems:
        raise StatementUnreadable(*file.problems)
    brought = await _brought(services, file)
    owner: Any = None
    changes: list[tuple[Loaded[Any], tuple[Any, ...]]] = []

    async def decide() -> Plan:
        nonlocal owner, changes
        plan, owner, changes = await _decide(services, context.tenant, consumer_id, brought)
        return plan

    outcome = await execute(services, context, decide)
    if outcome.repeated:
        owner, changes = await _repeated(services, context, consumer_id, brought, outcome)
    return outcome, _effects(file, brought, owner, changes)


async def _decide(
    services: Services, tenant: str, consumer_id: str, brought: Sequence[Brought]
) -> tuple[Plan, Any, list[tuple[Loaded[Any], tuple[Any, ...]]]]:
    """What is to be written, the consumer as they are then, and what is new about each account."""
    owner = await load(services, streams.consumer(tenant, consumer_id))
    consumer.registered(owner.state)
    links: list[AccountLinked] = []
    changes: list[tuple[Loaded[Any], tuple[Any, ...]]] = []
    for each in brought:
        new_id = services.ids.uuid()
        held = await uploads.load_uploaded(services, tenant, consumer_id, each.upload, new_id)
        rows, gone = await _news(services, held, each)
        upload = msgspec.structs.replace(each.upload, details=_merged(each, held.state))
        linked, change = await uploads.plan_account(services, owner, upload, new_id, rows, gone)
        # The next account is linked on what is known with this one.
        owner = msgspec.structs.replace(owner, state=follow(owner, linked))
        links.extend(linked)
        changes.append(change)
    return Plan(owner, ((owner, tuple(links)), *changes), unmoved=(owner,)), owner.state, changes


def _merged(brought: Brought, held: Any) -> AccountDetails:
    """What is known of an account: what the newer of file and account says, and where that says nothing, the other."""
    said, supposed = brought.upload.details, brought.supposed_kind
    match held:
        case Open(details=known, reading=reading):
            pass
        case _:
            return msgspec.structs.replace(said, kind=_kind(supposed, said.kind))
    as_of = None if brought.upload.reading is None else brought.upload.reading.as_of
    if reading is None or (as_of is not None and as_of > reading.as_of):
        first, second, kind = said, known, _kind(supposed, said.kind, known.kind)
    else:
        # What was supposed looks like what was said: a file that says a kind knows better than that.
        was_said = UNKNOWN_KIND if known.kind == CHECKING else known.kind
        first, second, kind = known, said, _kind(supposed, was_said, said.kind, known.kind)
    merged = {
        name: getattr(first, name) or getattr(second, name) for name in AccountDetails.__struct_fields__
    }
    return AccountDetails(**{**merged, "kind": kind})


def _kind(supposed: str, *said: str) -> str:
    """The first kind that is said, and the supposed one last."""
    return next((kind for kind in said if kind != UNKNOWN_KIND), supposed)


async def _news(
    services: Services, held: Loaded[Any], brought: Brought
) -> tuple[list[Transaction], list[str]]:
    """The rows of a file that are to be recorded, and the references of those held that are gone by it.

    Not recorded is what the file has as pending and what has been booked since, or is gone: the file is older than
    that. Gone are the pending rows that a statement of their day does not show any more, neither pending nor booked.

    Raises:
        Unavailable: what is held already cannot be read now.
    """
    rows = list(brought.rows.values())
    expected = [row.reference for row in rows if row.pending]
    if not held.version or not (expected or brought.final_until is not None):
        return rows, []
    await uploads.reach(services, held)
    tenant, _, _, source_id = streams.parse(held.stream)
    pending = (await services.read_models.pendings(tenant, source_id)).rows
    known = await services.read_models.known(tenant, source_id, expected)
    over = known.keys() - {row.reference for row in pending}
    gone = [
        row.reference
        for row in pending
        if brought.final_until is not None
        and row.booked_on <= brought.final_until
        and row.reference not in brought.rows
    ]
    return [row for row in rows if not row.pending or row.reference not in over], gone


async def _repeated(
    services: Services, context: Context, consumer_id: str, brought: Sequence[Brought], outcome: Outcome
) -> tuple[Any, list[tuple[Loaded[Any], tuple[Any, ...]]]]:
    """What the command wrote when it was carried out, for the same answer."""
    state: Any = consumer.initial
    for recorded in await services.log.facts(outcome.stream, upto=outcome.version):
        state = consumer.apply(state, recorded.fact)
    changes: list[tuple[Loaded[Any], tuple[Any, ...]]] = []
    for each in brought:
        held = await uploads.load_uploaded(services, context.tenant, consumer_id, each.upload, "")
        of_account = await services.log.facts(held.stream)
        ours = [one for one in of_account if one.command_id == context.command_id]
        before = ours[0].version - 1 if ours else held.version
        changes.append((Loaded(held.stream, before, held.state), tuple(one.fact for one in ours)))
    return state, changes


def _effects(
    file: StatementFile,
    brought: Sequence[Brought],
    owner: Any,
    changes: Sequence[tuple[Loaded[Any], tuple[Any, ...]]],
) -> list[Effect]:
    effects: dict[int, Effect] = {}
    for each, (held, facts) in zip(brought, changes, strict=True):
        added, changed = _references_in(facts)
        target = _target(each, owner, held)
        seen: set[str] = set()
        for place, references in each.by_statement.items():
            # A row that two statements of the file show is new in the first of them alone.
            fresh = [reference for reference in references if reference not in seen]
            seen.update(fresh)
            new, edited = len(added.intersection(fresh)), len(changed.intersection(fresh))
            effects[place] = Effect(
                target=target, new=new, changed=edited, known=len(references) - new - edited
            )
    return [effects[place] for place in range(len(file.statements))]


def _references_in(facts: Sequence[Any]) -> tuple[set[str], set[str]]:
    """The references of rows that came, and of rows that are others now."""
    fetched = [fact for fact in facts if isinstance(fact, TransactionsFetched)]
    added = {name for fact in fetched for name in (*fact.added.references, *fact.restored.references)}
    return added, {name for fact in fetched for name in fact.modified.references}


def _target(brought: Brought, owner: Any, held: Loaded[Any]) -> Target:
    source_id = streams.parse(held.stream).id
    link: AccountLinked | None = next(
        (each for each in consumer.registered(owner).links if each.source == source_id), None
    )
    account_id = source_id if link is None else link.account_id
    return Target(
        account_id=account_id,
        is_new=held.version == 0 and account_id == source_id,
        evidence="iban" if brought.upload.details.iban else "number",
        linked=account_id != source_id,
    )


# What a file says of each account


async def _brought(services: Services, file: StatementFile) -> Sequence[Brought]:
    now = services.clock.now()
    if sum(len(statement.entries) for statement in file.statements) <= ROWS_INLINE_MAX:
        return brought_by(file, now)
    return await asyncio.to_thread(brought_by, file, now)


def brought_by(file: StatementFile, now: datetime) -> list[Brought]:
    """What a file without problems says, by account, in the order in which the file names them."""
    by_account: dict[tuple[str, str], list[tuple[int, Statement]]] = {}
    for place, statement in enumerate(file.statements):
        if statement.account is None or statement.currency is None:
            raise ValueError("a file with problems is not recorded")
        key = (statement.account.reference, statement.currency)
        by_account.setdefault(key, []).append((place, statement))
    return [
        _of_account(file.format, name, currency, stated, now)
        for (name, currency), stated in by_account.items()
    ]


def _of_account(
    format: str, name: str, currency: str, stated: Sequence[tuple[int, Statement]], now: datetime
) -> Brought:
    exponent = money.exponent_of(currency)
    rows: dict[str, Transaction] = {}
    by_statement: dict[int, tuple[str, ...]] = {}
    originals, copies = _without_copies(name, stated)
    for chain in _chains(originals):
        named = _references(
            [each for one in chain for each in zip(one.said, one.statement.entries, strict=True)]
        )
        for one in chain:
            by_statement[one.place] = tuple(next(named) for _ in one.statement.entries)
            for reference, entry in zip(by_statement[one.place], one.statement.entries, strict=True):
                # What was booked is not pending any more, wherever in the file that stands.
                if not entry.pending or reference not in rows:
                    rows[reference] = _row(reference, entry, exponent)
    by_statement |= {place: by_statement[original] for place, original in copies.items()}
    statements = [statement for _, statement in stated]
    return Brought(
        upload=Upload(
            provider=STATEMENT,
            reference=name,
            currency=currency,
            exponent=exponent,
            details=_details(statements),
            reading=_reading(statements, currency, exponent, now),
        ),
        # What a bank sends such statements of is a current account, where it says nothing else.
        supposed_kind=UNKNOWN_KIND if format == statement_files.OFX else CHECKING,
        rows=rows,
        by_statement=by_statement,
        final_until=_final_until(format, statements),
    )


class _Placed(NamedTuple):
    """A statement by its place in the file, with what tells each of its rows from others."""

    place: int
    statement: Statement
    said: tuple[Any, ...]


def _without_copies(
    account: str, stated: Sequence[tuple[int, Statement]]
) -> tuple[list[_Placed], dict[int, int]]:
    """The statements of an account without those that a file has again, and of these the places of their originals."""
    originals: list[_Placed] = []
    copies: dict[int, int] = {}
    places: dict[Any, int] = {}
    for place, statement in stated:
        said = tuple(_said(account, entry) for entry in statement.entries)
        rows = frozenset(Counter(said).items())
        page = (statement.interim, statement.continues, statement.continued)
        telling = (statement.number, page, statement.opening, statement.closing, rows)
        original = places.setdefault(telling, place)
        if original == place:
            originals.append(_Placed(place, statement, said))
        else:
            copies[place] = original
    return originals, copies


def _chains(placed: Sequence[_Placed]) -> list[list[_Placed]]:
    """The statements of an account, those together of which each goes on where the one before ended."""
    chains: list[list[_Placed]] = []
    shown: Counter[Any] = Counter()
    for one in placed:
        if chains and _goes_on(chains[-1][-1].statement, one, shown):
            chains[-1].append(one)
        else:
            chains.append([one])
            shown = Counter()
        shown.update(one.said)
    return chains


def _goes_on(before: Statement, one: _Placed, shown: Counter[Any]) -> bool:
    """Whether a statement begins where the one before ended, so that no row can be in both.

    Its balance tells, unless that stood still. A statement that shows rows of the one before again begins with the
    balance before those: other by their sum than the one that the statement before ended with. So rows that are alike
    in both are others where they come to something, and are taken for the same where they come to nothing.
    """
    if one.statement.continues:
        return True
    ended, begins = before.closing, one.statement.opening
    if ended is None or begins is None:
        return False
    if (ended.amount, ended.currency) != (begins.amount, begins.currency):
        return False
    if begins.day is not None and begins.day < _day(ended):
        return False
    alike = Counter(one.said) & shown
    if not alike:
        return True
    amounts = {
        said: entry.amount
        for said, entry in zip(one.said, one.statement.entries, strict=True)
        if entry.amount is not None and not entry.pending
    }
    moved = sum((amounts.get(said, Decimal(0)) * count for said, count in alike.items()), Decimal(0))
    return moved != 0


def _references(named: Sequence[tuple[Any, StatedEntry]]) -> Iterator[str]:
    """A reference for each row. Equal ones are numbered by the rest of what they say, so that a file that lists them
    the other way round says the same."""
    numbers: Counter[Any] = Counter()
    references = [""] * len(named)
    for place in sorted(range(len(named)), key=lambda place: _rest(named[place][1])):
        said, _ = named[place]
        numbers[said] += 1
        telling = _encode((*said, numbers[said]))
        references[place] = blake2b(telling, digest_size=REFERENCE_SIZE).hexdigest()
    return iter(references)


def _rest(entry: StatedEntry) -> tuple[bool, str, int]:
    # Booked ones first: the one that a report shows as booked is the one that the statement of its day has.
    return entry.pending, entry.wording or "", entry.value_on or 0


def _said(account: str, entry: StatedEntry) -> tuple[Any, ...]:
    """What tells a row from others: more of it where the bank has no name for it."""
    amount = None if entry.amount is None else str(entry.amount.normalize())
    if entry.bank_reference is not None:
        return ("named", account, entry.bank_reference, entry.booked_on, amount)
    return ("unnamed", account, entry.booked_on, entry.value_on, amount, entry.wording)


def _row(reference: str, entry: StatedEntry, exponent: int) -> Transaction:
    if entry.booked_on is None or entry.amount is None:
        raise ValueError("a file with problems is not recorded")
    amount = money.read(entry.amount, exponent)
    return Transaction(
        reference=reference,
        booked_on=entry.booked_on,
        initiated_on=entry.initiated_on,
        value_on=entry.value_on,
        amount=amount.minor,
        amount_text=amount.text,
        kind=entry.kind,
        wording=entry.wording,
        pending=entry.pending,
        fields=_fields(entry),
    )


def _fields(entry: StatedEntry) -> dict[str, Any]:
    """The rest of a row, under the names that `domain.row_details` reads."""
    fields: dict[str, Any] = {
        "counter_party": {
            "holder_name": entry.counterparty_name,
            "iban": entry.counterparty_iban,
            "account_number": entry.counterparty_number,
            "bic": entry.counterparty_bic,
        },
        "bank_references": {
            "end_to_end": entry.end_to_end,
            "structured": entry.structured,
            "unstructured": entry.unstructured,
            "servicer": entry.bank_reference,
            "mandate": entry.mandate,
            "creditor": entry.creditor,
        },
        "bank_transaction_code": {"code": entry.code, "sub_code": entry.sub_code},
    }
    said = {name: _without_none(given) for name, given in fields.items()}
    return {**{name: given for name, given in said.items() if given}, **entry.more}


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _details(statements: Sequence[Statement]) -> AccountDetails:
    """What the newest statement that says it says of the account."""

    def said(name: str) -> Any:
        given = (getattr(statement.account, name) for statement in reversed(statements))
        return next((value for value in given if value), None)

    kinds = [statement.account.kind for statement in statements if statement.account is not None]
    owner, bank = said("owner"), said("bank_name") or said("bank_id")
    return AccountDetails(
        kind=next((kind for kind in reversed(kinds) if kind != UNKNOWN_KIND), UNKNOWN_KIND),
        name=said("name"),
        number=said("number"),
        iban=said("iban"),
        bic=said("bic"),
        bank_name=bank,
        owners=() if owner is None else (Owner(full_name=owner),),
    )


def _reading(
    statements: Sequence[Statement], currency: str, exponent: int, now: datetime
) -> BalanceRefreshed | None:
    """The newest closing balance that the bank has booked, at the end of its day; of one day the last in the file."""
    closing = [
        (balance, statement.available)
        for statement, balance in _ends(statements)
        if balance.currency == currency and balance.day is not None
    ]
    if not closing:
        return None
    # `max` would take the first of those that are of one day.
    balance, available = sorted(closing, key=lambda pair: _day(pair[0]))[-1]
    read = {"balance": money.read(balance.amount, exponent)}
    if available is not None and (available.currency, available.day) == (currency, balance.day):
        read["available"] = money.read(available.amount, exponent)
    return BalanceRefreshed(
        as_of=min(datetime.combine(date_of(_day(balance)), time.max, UTC), now),
        **{name: amount.minor for name, amount in read.items()},
        texts={name: amount.text for name, amount in read.items() if amount.text is not None},
    )


def _day(balance: StatedBalance) -> int:
    return 0 if balance.day is None else balance.day


def _final_until(format: str, statements: Sequence[Statement]) -> int | None:
    """The last day of a statement of days that are over."""
    if format not in (statement_files.MT940, statement_files.CAMT_053):
        return None
    return max((balance.day for _, balance in _ends(statements) if balance.day is not None), default=None)


def _ends(statements: Sequence[Statement]) -> Iterator[tuple[Statement, StatedBalance]]:
    """The statements with which days end, and their closing balances."""
    for statement in statements:
        if statement.closing is not None and not statement.interim and not statement.continued:
            yield statement, statement.closing
