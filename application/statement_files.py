"""What a statement file says, in our own words, whatever its format; and what may be wrong with one.

A file is read wholly or not at all: what is wrong in one place keeps all of it from being recorded, and is told with
the line it stands on, never with what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from domain.refusals import Refused

#: The most bytes of a file.
FILE_SIZE_MAX = 16 * 1024 * 1024

# Formats

MT940 = "MT940"
MT942 = "MT942"
OFX = "OFX"
CAMT_052 = "CAMT.052"
CAMT_053 = "CAMT.053"
CAMT_054 = "CAMT.054"
CAMT = "CAMT"

# What is wrong with a whole file

EMPTY = "empty_file"
TOO_LARGE = "too_large"
ARCHIVE = "archive_not_accepted"
ENCODING = "encoding_unreadable"
NOT_A_STATEMENT = "not_a_statement"
UNKNOWN_DIALECT = "unknown_dialect"
XML_MALFORMED = "xml_malformed"
TAGS_MALFORMED = "tags_malformed"
DTD = "dtd_not_accepted"
TOO_COMPLEX = "too_complex"
TOO_MANY_STATEMENTS = "too_many_statements"
TOO_MANY_ACCOUNTS = "too_many_accounts"
TOO_MANY_ENTRIES = "too_many_entries"
TOO_SLOW = "took_too_long"

# What is wrong in one place, so that the file cannot be recorded

NO_STATEMENT = "no_statement"
SOURCE_ERROR = "source_reports_error"
ACCOUNT_MISSING = "account_missing"
CURRENCY_MISSING = "currency_missing"
CURRENCY_MISMATCH = "currency_mismatch"
ENTRY_UNREADABLE = "entry_unreadable"
DATE_MISSING = "date_missing"
DATE_UNREADABLE = "date_unreadable"
AMOUNT_MISSING = "amount_missing"
AMOUNT_UNREADABLE = "amount_unreadable"
SIGN_UNREADABLE = "sign_unreadable"
FIELD_MISPLACED = "field_misplaced"
FIELD_TOO_LONG = "field_too_long"

# What is worth knowing, and keeps nothing from being recorded

BALANCE_MISSING = "balance_missing"
BALANCE_UNREADABLE = "balance_unreadable"
BALANCE_CURRENCY = "balance_in_another_currency"
VALUE_DAY_ADJUSTED = "value_day_adjusted"
INFORMATION_LEFT_OUT = "information_left_out"
TRADES_LEFT_OUT = "trades_left_out"


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """Something about one place of a file."""

    code: str
    line: int | None = None
    """Counted from 1."""
    column: int | None = None
    """Counted from 1, where it is known."""


class StatementUnreadable(Refused):
    """The file cannot be read as a statement."""

    def __init__(self, problem: Remark, *others: Remark) -> None:
        place = "" if problem.line is None else f" in line {problem.line}"
        super().__init__(
            f"The file cannot be recorded: {problem.code}{place}.",
            problems=[msgspec.to_builtins(each) for each in (problem, *others)],
        )
        self.problem = problem


class StatedAccount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account that a statement is of."""

    iban: str | None = None
    number: str | None = None
    bank_id: str | None = None
    """A bank's national code, where the number is one among those of that bank."""
    bic: str | None = None
    bank_name: str | None = None
    name: str | None = None
    owner: str | None = None
    kind: str = "UNKNOWN"
    """As `domain.consumer_account` names kinds; unknown where the file says none."""

    @property
    def reference(self) -> str:
        """The account's name at its source: one that stays the same in every file."""
        return self.iban or "/".join(filter(None, (self.bank_id, self.number)))


class StatedBalance(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal
    """Signed, in major units, exactly as it is stated."""
    currency: str
    day: int | None
    """Days since 1970-01-01."""


class StatedEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of a statement. Days are civil dates, as days since 1970-01-01."""

    line: int
    booked_on: int | None
    value_on: int | None = None
    initiated_on: int | None = None
    amount: Decimal | None
    """Signed, in major units, exactly as it is stated; None where it cannot be read."""
    pending: bool = False
    kind: str = "unknown"
    """In the words that `projections.kinds` knows."""
    wording: str | None = None
    bank_reference: str | None = None
    """The name that the bank gave the row."""
    end_to_end: str | None = None
    structured: str | None = None
    """The payee's own reference, such as that of an invoice."""
    unstructured: str | None = None
    mandate: str | None = None
    creditor: str | None = None
    """The creditor's identifier, of a direct debit."""
    counterparty_name: str | None = None
    counterparty_iban: str | None = None
    counterparty_number: str | None = None
    counterparty_bic: str | None = None
    code: str | None = None
    sub_code: str | None = None
    more: Mapping[str, str] = {}
    """What else is stated, under names of ours."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    line: int
    account: StatedAccount | None
    currency: str | None
    number: str | None = None
    """The bank's number of the statement."""
    interim: bool = False
    """The day is not over: its closing balance is none that the bank has booked."""
    continues: bool = False
    """It is a further page: its opening balance is the closing one of the page before."""
    continued: bool = False
    """A further page goes on from it: its closing balance is carried over there, and is none of the end of a day."""
    from_day: int | None = None
    to_day: int | None = None
    opening: StatedBalance | None = None
    closing: StatedBalance | None = None
    available: StatedBalance | None = None
    entries: tuple[StatedEntry, ...] = ()


class StatementFile(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    statements: tuple[Statement, ...]
    problems: tuple[Remark, ...] = ()
    """What keeps the file from being recorded, in the order of its lines."""
    notes: tuple[Remark, ...] = ()


class StatementReader(Protocol):
    async def __call__(self, content: bytes, format: str | None = None) -> StatementFile:
        """Read a file. `format` is `CAMT`, `MT940` or `OFX`, in place of what its content looks like.

        Raises:
            StatementUnreadable: it is nothing that can be read at all.
        """
        ...


class Remarks:
    """What is found while a file is read."""

    #: How many of each are told.
    MOST = 100

    def __init__(self) -> None:
        self.problems: list[Remark] = []
        self.notes: list[Remark] = []

    def problem(self, code: str, line: int | None, column: int | None = None) -> None:
        self.problems.append(Remark(code=code, line=line, column=column))

    def note(self, code: str, line: int | None) -> None:
        self.notes.append(Remark(code=code, line=line))

    def file(self, format: str, statements: Sequence[Statement]) -> StatementFile:
        return StatementFile(
            format=format,
            statements=tuple(statements),
            problems=_first(self.problems),
            notes=_first(self.notes),
        )


def _first(remarks: list[Remark]) -> tuple[Remark, ...]:
    return tuple(sorted(remarks, key=lambda remark: remark.line or 0)[: Remarks.MOST])
