"""MT940 and MT942 of SWIFT, in the dialects of banks.

The fields are read by the `mt-940` library, one at a time: it knows the dialects, and knows no lines. What it is
given is cut into fields here, so that each has its line, and no field is longer than a bank writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from mt940 import models, processors, tags
from mt940.options import Options

from adapters.statements.limits import Counted
from adapters.statements.values import amount_in, currency_in, day_from, iban_in, reference_in, words_in
from application import statement_files
from application.statement_files import (
    Remark,
    Remarks,
    StatedAccount,
    StatedBalance,
    StatedEntry,
    Statement,
    StatementFile,
    StatementUnreadable,
)
from domain.transactions import date_of

#: Characters of a field. Nine lines of 65 are allowed; banks send more.
FIELD_MAX = 20_000
#: Of a statement line, which has two of them.
ENTRY_MAX = 1_000
#: Of a reference from end to end.
END_TO_END_MAX = 35

_FIELD = re.compile(r"-?:(?P<tag>[0-9]{2}[A-Z]?|NS):(?P<value>.*)", re.ASCII)
#: Some banks break the line within the name of a field.
_BROKEN_FIELD = re.compile(r"[0-9]{2}[A-Z]?:", re.ASCII)
#: What stands between messages and belongs to none.
_BETWEEN = re.compile(r"-(?:\}.*|X*)|\{[0-9]:.*")
#: The header of a message says its type.
_HEADER = re.compile(r"\{2:[OI](?P<type>[0-9]{3})", re.ASCII)
_IS_INTERIM = {"940": False, "942": True}
#: Fields of an MT942, and of no MT940.
_OF_INTERIM = frozenset({"34F", "13D", "90D", "90C"})
_OPENS = ("60F", "60M", "60")
_CLOSES = ("62F", "62M", "62")
#: What follows the rows of a statement: a text after these is about the statement.
_AFTER_ROWS = frozenset({*_CLOSES, "64", "65", "90D", "90C"})
_SIGNS = {"C": 1, "RD": 1, "EC": 1, "D": -1, "RC": -1, "ED": -1}
#: Expected, and not booked yet.
_EXPECTED = frozenset({"EC", "ED"})
#: Years from here on are of the century before.
_CENTURY_TURN = 80

#: The library reads fields as parts of a whole; what we read of each needs nothing of it but what it is to do.
_WHOLE = models.Transactions(options=Options.all())
#: The statement line as SWIFT has it, then with the long references of two groups of banks.
_ENTRY_DIALECTS = (tags.TAG_BY_ID[61], tags.StatementGLS(), tags.StatementASNB())
_DETAILS = tags.TAG_BY_ID[86]

#: Codes of statement lines, as the kinds that we know; then the German codes of what happened (GVC).
_KINDS = {
    "TRF": "transfer",
    "STO": "transfer",
    "BOE": "transfer",
    "DDT": "order",
    "CHK": "check",
    "TCK": "check",
    "CHG": "bank",
    "INT": "bank",
    "COM": "bank",
    "CMI": "bank",
    "CMN": "bank",
    "CMS": "bank",
    "CMT": "bank",
    "CMZ": "bank",
}
_GERMAN_KINDS = {
    **dict.fromkeys("104 105 107 108 109 171 174 177 181 191 192 193 194 195 196 197 198".split(), "order"),
    **dict.fromkeys("020 051 052 053 054 056 067 116 117 118 119 152 153 154 156 157 166 168 169".split(), "transfer"),
    **dict.fromkeys("001 002 011 012 070".split(), "check"),
    **dict.fromkeys("083 106".split(), "card"),
    **dict.fromkeys("801 802 803 804 805 806 807 808 809 814".split(), "bank"),
}  # fmt: skip
#: `/NAME/…` and the like, of Dutch banks.
_SLASHED = re.compile(
    r"/(?P<name>EREF|MARF|CSID|CNTP|REMI|PURP|ULTC|ULTD|RTRN|IBAN|BIC|NAME|TRTP|BENM|ORDP|ISDT|PREF|ULTB|ADDR)/"
)
_GERMAN = re.compile(r"\s*[0-9]{3}(?P<mark>[?>])[0-9]{2}", re.ASCII)
_CURRENCY_AT_END = re.compile(r"(?<=[0-9])[A-Z]{3}$")


#: In the place of a tag: the header that stands before the fields of a message.
HEADER = "header"


class Field(NamedTuple):
    tag: str
    line: int
    value: str


class Message(NamedTuple):
    type: str
    """Three digits, as its header says; empty where it has none."""
    fields: list[Field]

    @property
    def is_interim(self) -> bool:
        """It is an MT942: the day was not over when it was made."""
        said = {field.tag for field in self.fields}
        if not said.isdisjoint(_OPENS):
            return False
        return _IS_INTERIM.get(self.type, not said.isdisjoint(_OF_INTERIM))


def read(text: str) -> StatementFile:
    """Read a file of any number of messages.

    Raises:
        StatementUnreadable: it holds no field of one, or too many rows.
    """
    messages = list(_messages(_fields(text)))
    if not messages:
        raise StatementUnreadable(Remark(code=statement_files.NOT_A_STATEMENT, line=1))
    remarks, counted = Remarks(), Counted()
    statements = []
    for message in messages:
        statement = _Reader(message.is_interim, remarks, counted).read(message.fields)
        if statement is not None:
            statements.append(statement)
    if not statements:
        remarks.problem(statement_files.NO_STATEMENT, messages[0].fields[0].line)
    interim = [statement.interim for statement in statements] or [each.is_interim for each in messages]
    return remarks.file(statement_files.MT942 if all(interim) else statement_files.MT940, statements)


def _fields(text: str) -> Iterator[Field]:
    """The fields of all messages, each with its first line."""
    tag, first, lines = "", 0, list[str]()
    broken = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip()
        if broken:
            line, broken = f":{line}", False
        elif line == ":":
            broken = True
            continue
        found = _FIELD.match(line)
        is_between = found is None and _BETWEEN.fullmatch(line) is not None
        header = _HEADER.search(line) if is_between else None
        if found is not None or header is not None:
            if tag:
                yield Field(tag, first, "\n".join(lines))
            tag, value = (found["tag"], found["value"]) if found else (HEADER, header["type"])
            first, lines = number, [value]
        elif line and tag and tag != HEADER and not is_between:
            lines.append(line)
    if tag:
        yield Field(tag, first, "\n".join(lines))


def _messages(fields: Iterable[Field]) -> Iterator[Message]:
    """Each statement: one begins with its header or its reference, or with its opening balance where that has come
    in the one before."""
    message, opened = Message("", []), False
    for field in fields:
        opens = field.tag in _OPENS
        if message.fields and (field.tag in (HEADER, "20") or (opens and opened)):
            yield message
            message, opened = Message("", []), False
        if field.tag == HEADER:
            message = Message(field.value, [])
            continue
        message.fields.append(field)
        opened = opened or opens
    if message.fields:
        yield message


class _Reader:
    """Reads the fields of one message."""

    def __init__(self, is_interim: bool, remarks: Remarks, counted: Counted) -> None:
        self.is_interim = is_interim
        self.remarks = remarks
        self.counted = counted
        self.account: StatedAccount | None = None
        self.currency: str | None = None
        self.number: str | None = None
        self.balances: dict[str, StatedBalance] = {}
        self.opened_by = ""
        self.entries: list[StatedEntry] = []

    def read(self, fields: list[Field]) -> Statement | None:
        """The statement; None where nothing is stated."""
        self.counted.statement(fields[0].line)
        before = ""
        for field in fields:
            self._take(field, before)
            before = field.tag
        opening, closing = self._of(_OPENS), self._of(_CLOSES)
        if opening is None and closing is None and not self.entries:
            return None
        line = fields[0].line
        stated = opening or closing
        currency = (stated.currency if stated else None) or self.currency
        if self.account is None:
            self.remarks.problem(statement_files.ACCOUNT_MISSING, line)
        if currency is None:
            self.remarks.problem(statement_files.CURRENCY_MISSING, line)
        self.counted.account(self.account, currency, line)
        if opening is not None and closing is None:
            self.remarks.note(statement_files.BALANCE_MISSING, line)
        for balance in (opening, closing):
            if balance is not None and balance.currency != currency:
                self.remarks.note(statement_files.BALANCE_CURRENCY, line)
        return Statement(
            line=line,
            account=self.account,
            currency=currency,
            number=self.number,
            interim=self.is_interim,
            continues=self.opened_by == "60M",
            continued="62M" in self.balances and "62F" not in self.balances,
            opening=opening,
            closing=closing,
            available=self.balances.get("64"),
            entries=tuple(self.entries),
        )

    def _of(self, names: tuple[str, ...]) -> StatedBalance | None:
        return next((self.balances[name] for name in names if name in self.balances), None)

    def _take(self, field: Field, before: str) -> None:
        if len(field.value) > (ENTRY_MAX if field.tag == "61" else FIELD_MAX):
            self.remarks.problem(statement_files.FIELD_TOO_LONG, field.line)
            return
        match field.tag:
            case "25" if self.entries:
                # Rows of two accounts in one statement: nobody knows whose the rest are.
                self.remarks.problem(statement_files.FIELD_MISPLACED, field.line)
            case "25":
                self.account, stated = _account(field.value)
                self.currency = self.currency or stated
            case "28" | "28C":
                self.number = words_in(field.value)
            case "34F":
                self.currency = self.currency or currency_in(field.value[:3])
            case "61":
                self._entry(field)
            case "86" if self.entries and before in ("61", "NS"):
                self.entries[-1] = _with_details(self.entries[-1], field.value)
            case "NS" if self.entries and before in ("61", "86"):
                self.entries[-1] = _with_free_text(self.entries[-1], field.value)
            case tag if tag in (*_OPENS, *_AFTER_ROWS) and tag not in ("90D", "90C"):
                self._balance(field)

    def _balance(self, field: Field) -> None:
        """A balance. One that cannot be read is none: the rows are what counts."""
        tag = tags.TAG_BY_ID.get(field.tag) or tags.TAG_BY_ID[int(field.tag[:2])]
        try:
            found = tag.parse(_WHOLE, field.value.strip())
        except RuntimeError:
            found = {}
        amount, currency = amount_in(found.get("amount")), currency_in(found.get("currency"))
        if amount is None or currency is None:
            self.remarks.note(statement_files.BALANCE_UNREADABLE, field.line)
            return
        sign = _SIGNS[str(found["status"]).upper()]
        day = _day(found)
        self.balances[field.tag] = StatedBalance(amount=sign * amount, currency=currency, day=day)
        if field.tag in _OPENS:
            self.opened_by = field.tag

    def _entry(self, field: Field) -> None:
        self.counted.entry(field.line)
        first, _, rest = field.value.strip().partition("\n")
        found = _statement_line(f"{first}\n{' '.join(rest.split())}" if rest else first)
        if found is None:
            self.remarks.problem(statement_files.ENTRY_UNREADABLE, field.line)
            self.entries.append(StatedEntry(line=field.line, booked_on=None, amount=None))
            return
        amount, status = amount_in(found["amount"]), str(found["status"]).upper()
        if amount is None:
            self.remarks.problem(statement_files.AMOUNT_UNREADABLE, field.line)
        if status not in _SIGNS:
            self.remarks.problem(statement_files.SIGN_UNREADABLE, field.line)
        value_on = _day(found)
        booked_on = _booked_on(found, value_on)
        if value_on is None:
            self.remarks.problem(statement_files.DATE_UNREADABLE, field.line)
        elif not _is_as_written(found, value_on):
            self.remarks.note(statement_files.VALUE_DAY_ADJUSTED, field.line)
        code = words_in(found.get("id"))
        self.entries.append(
            StatedEntry(
                line=field.line,
                booked_on=value_on if booked_on is None else booked_on,
                value_on=value_on,
                amount=None if amount is None or status not in _SIGNS else _SIGNS[status] * amount,
                pending=self.is_interim or status in _EXPECTED,
                kind=_KINDS.get((code or "")[1:]) or _GERMAN_KINDS.get((code or "")[1:], "unknown"),
                wording=words_in(found.get("extra_details"), reference_in(found.get("customer_reference"))),
                bank_reference=reference_in(found.get("bank_reference")),
                code=code,
            )
        )


def _account(value: str) -> tuple[StatedAccount | None, str | None]:
    """The account of field 25, and the currency that some banks put behind it."""
    said = "".join(value.split())
    found = _CURRENCY_AT_END.search(said)
    currency = found[0] if found else None
    if iban_in(said):
        return StatedAccount(iban=iban_in(said)), None
    plain = said[: -len(currency)] if currency else said
    if iban_in(plain):
        return StatedAccount(iban=iban_in(plain)), currency
    bank, _, number = plain.rpartition("/")
    if not number:
        return None, currency
    if iban_in(number):
        return StatedAccount(iban=iban_in(number)), currency
    return StatedAccount(number=number, bank_id=bank or None), currency


def _statement_line(value: str) -> dict[str, Any] | None:
    for dialect in _ENTRY_DIALECTS:
        try:
            return dialect.parse(_WHOLE, value)
        except RuntimeError:
            continue
    return None


def _day(found: dict[str, Any]) -> int | None:
    """The day of six digits; one past the end of a February is its last, as banks that count 30 days mean it."""
    adjusted = processors.date_fixup_pre_processor(_WHOLE, _ENTRY_DIALECTS[0], dict(found))
    year = int(adjusted["year"])
    century = 1900 if year >= _CENTURY_TURN else 2000
    return day_from(century + year, int(adjusted["month"]), int(adjusted["day"]))


def _is_as_written(found: dict[str, Any], day: int) -> bool:
    return int(found["day"]) == date_of(day).day


def _booked_on(found: dict[str, Any], value_on: int | None) -> int | None:
    """The day of four digits, in the year that is nearest to the value day."""
    month, day = str(found.get("entry_month") or ""), str(found.get("entry_day") or "")
    if not (month.isdigit() and day.isdigit()):
        return None
    near = int(found["year"])
    year = (1900 if near >= _CENTURY_TURN else 2000) + near
    days = [
        found
        for each in (year, year - 1, year + 1)
        if (found := day_from(each, int(month), int(day))) is not None
    ]
    return min(days, key=lambda each: abs(each - (value_on if value_on is not None else each)), default=None)


# What the rows say


def _with_details(entry: StatedEntry, value: str) -> StatedEntry:
    """A row with what field 86 says of it."""
    german = _GERMAN.match(value)
    if german is not None:
        return _with_german_details(entry, value.strip().replace(german["mark"], "?"))
    flat = value.replace("\n", "")
    if _SLASHED.search(flat):
        return _with_slashed_details(entry, flat)
    return msgspec.structs.replace(entry, wording=words_in(value) or entry.wording)


def _with_german_details(entry: StatedEntry, value: str) -> StatedEntry:
    parsed = _DETAILS.parse(_WHOLE, value)
    said = processors.transaction_details_post_processor(_WHOLE, _DETAILS, parsed, dict(parsed))
    code = said.get("transaction_code")
    account = said.get("applicant_iban") or said.get("gvc_applicant_iban")
    unstructured, end_to_end = words_in(said.get("purpose")), said.get("end_to_end_reference") or ""
    if len(end_to_end) > END_TO_END_MAX:
        # The text after it has no name of its own, and is not told apart.
        unstructured, end_to_end = words_in(end_to_end, unstructured), ""
    return msgspec.structs.replace(
        entry,
        kind=_GERMAN_KINDS.get(code or "", entry.kind),
        wording=words_in(said.get("posting_text"), unstructured, said.get("additional_purpose"))
        or entry.wording,
        end_to_end=reference_in(end_to_end),
        unstructured=unstructured,
        mandate=reference_in(said.get("additional_position_reference")),
        creditor=words_in(said.get("applicant_creditor_id")),
        counterparty_name=words_in(said.get("applicant_name")),
        counterparty_iban=iban_in(account),
        counterparty_number=None if iban_in(account) else words_in(account),
        counterparty_bic=words_in(said.get("applicant_bin")),
        sub_code=words_in(code),
    )


def _with_slashed_details(entry: StatedEntry, value: str) -> StatedEntry:
    marks = list(_SLASHED.finditer(value))
    ends = [*(mark.start() for mark in marks[1:]), len(value)]
    said = {mark["name"]: value[mark.end() : end].strip("/ ") for mark, end in zip(marks, ends, strict=True)}
    # Account, bank and name in one.
    account, bic, name, *_ = (*said.get("CNTP", "").split("/"), "", "", "")
    account = said.get("IBAN") or account
    remittance = said.get("REMI", "").removeprefix("USTD//").removeprefix("UNSTRUCTURED/")
    structured = remittance.startswith("STRD/")
    name = said.get("NAME") or name
    return msgspec.structs.replace(
        entry,
        wording=words_in(value[: marks[0].start()], name, remittance) or entry.wording or words_in(value),
        end_to_end=reference_in(said.get("EREF")),
        unstructured=None if structured else words_in(remittance),
        structured=words_in(remittance.split("/")[-1]) if structured else None,
        mandate=reference_in(said.get("MARF")),
        creditor=words_in(said.get("CSID")),
        counterparty_name=words_in(name),
        counterparty_iban=iban_in(account),
        counterparty_number=None if iban_in(account) else words_in(account),
        counterparty_bic=words_in(said.get("BIC") or bic),
    )


def _with_free_text(entry: StatedEntry, value: str) -> StatedEntry:
    """A row with the lines of field NS, which some German and Hungarian banks write in place of 86: each begins
    with its number, the first fourteen are the purpose, 15 and 16 the other side, 17 is what happened."""
    lines = [(line[:2], line[2:]) for line in value.split("\n")]
    purpose = [text for number, text in lines if number.isdigit() and 1 <= int(number) <= 14]
    name = words_in(" ".join(text for number, text in lines if number in ("15", "16")))
    happened = next((text for number, text in lines if number == "17"), None)
    return msgspec.structs.replace(
        entry,
        wording=words_in(entry.wording, happened, " ".join(purpose), name),
        unstructured=words_in(" ".join(purpose)),
        counterparty_name=name,
    )
