"""OFX, of its first edition (tags without ends, SGML) and its second (XML): both are read as tags here, since banks
write the first under the header of the second.

The library that is kept, ofxtools, is under a licence that would bind whoever ships this; the others are not kept, and
none knows lines. So tags are cut here, into the same tree as XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape

from adapters.statements.limits import Counted
from adapters.statements.tree import Node, check_markup
from adapters.statements.values import amount_in, currency_in, day_in, iban_in, reference_in, words_in
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
from domain.consumer_account import CHECKING, CREDIT_CARD, LOAN, SAVINGS, UNKNOWN_KIND

DEPTH_MAX = 64
#: Characters of a value.
VALUE_MAX = 20_000
_TOKEN = re.compile(r"<!\[CDATA\[|<(?P<close>/?)(?P<name>[A-Za-z0-9._-]{1,64})\s*(?P<empty>/?)>|<[?!]")
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
#: A response with a statement in it, and where in it the account stands.
_RESPONSES = {
    "STMTTRNRS": ("STMTRS", "BANKACCTFROM"),
    "CCSTMTTRNRS": ("CCSTMTRS", "CCACCTFROM"),
    "INVSTMTTRNRS": ("INVSTMTRS", "INVACCTFROM"),
}
_KINDS = {
    "CHECKING": CHECKING,
    "SAVINGS": SAVINGS,
    "MONEYMRKT": SAVINGS,
    "CD": SAVINGS,
    "CREDITLINE": LOAN,
}
_ENTRY_KINDS = {
    "ATM": "withdrawal",
    "CASH": "withdrawal",
    "POS": "card",
    "CHECK": "check",
    "FEE": "bank",
    "SRVCHG": "bank",
    "INT": "bank",
    "XFER": "transfer",
    "DIRECTDEP": "transfer",
    "DIRECTDEBIT": "order",
    "REPEATPMT": "order",
}
_TRADES = frozenset({
    "BUYDEBT", "BUYMF", "BUYOPT", "BUYOTHER", "BUYSTOCK", "CLOSUREOPT", "INCOME", "INVEXPENSE", "JRNLFUND", "JRNLSEC",
    "MARGININTEREST", "REINVEST", "RETOFCAP", "SELLDEBT", "SELLMF", "SELLOPT", "SELLOTHER", "SELLSTOCK", "SPLIT",
    "TRANSFER",
})  # fmt: skip


def read(text: str) -> StatementFile:
    """Read a response of a server, as it is downloaded.

    Raises:
        StatementUnreadable: it holds no OFX, or tags that close what is not open.
    """
    check_markup(text)
    root = _tree(text)
    remarks, counted = Remarks(), Counted()
    statements = []
    for node in root.below():
        if node.name == "SONRS":
            _is_well(node, remarks)
        elif node.name in _RESPONSES and _is_well(node, remarks):
            holder, account = _RESPONSES[node.name]
            statements += [_statement(each, account, remarks, counted) for each in node.all(holder)]
    if not statements and not remarks.problems:
        remarks.problem(statement_files.NO_STATEMENT, root.line)
    return remarks.file(statement_files.OFX, statements)


def _is_well(node: Node, remarks: Remarks) -> bool:
    """Whether a response is one, and not the bank's word of what went wrong."""
    status = node.find("STATUS")
    if status is None or status.said("SEVERITY") != "ERROR":
        return True
    remarks.problem(statement_files.SOURCE_ERROR, status.line)
    return False


# Tags


class _Tags:
    """Puts tags into a tree. One that is closed, or has others in it, is an aggregate; the others hold a value, and
    need not be closed."""

    def __init__(self) -> None:
        self.top = Node("", 1)
        self.open: list[Node] = [self.top]

    def begin(self, name: str, line: int) -> Node:
        self._end_value()
        node = Node(name, line)
        self.open[-1].children.append(node)
        self.open.append(node)
        if len(self.open) > DEPTH_MAX:
            raise StatementUnreadable(Remark(code=statement_files.TOO_COMPLEX, line=line))
        return node

    def _end_value(self) -> None:
        """A tag with a value ends where the next one begins."""
        if self.open[-1].text:
            self.open.pop()

    def end(self, name: str, line: int, column: int) -> None:
        for depth in range(len(self.open) - 1, 0, -1):
            if self.open[depth].name == name:
                # What is still open within it are values that were left empty, and what came after those.
                for empty in self.open[depth + 1 :]:
                    self.open[depth].children += empty.children
                    empty.children = []
                del self.open[depth:]
                return
        raise StatementUnreadable(Remark(code=statement_files.TAGS_MALFORMED, line=line, column=column))

    def say(self, text: str, line: int, *, plain: bool = False) -> None:
        """Put text into the tag that is open; `plain` has no entities in it."""
        said = text.strip()
        if said:
            node = self.open[-1]
            if len(node.text) + len(said) > VALUE_MAX:
                raise StatementUnreadable(Remark(code=statement_files.TOO_COMPLEX, line=line))
            node.text += said if plain else unescape(said)


def _tree(text: str) -> Node:
    start = re.search(r"<OFX\s*>", text, re.IGNORECASE)
    if start is None:
        raise StatementUnreadable(Remark(code=statement_files.UNKNOWN_DIALECT, line=1))
    made = _Tags()
    position = start.start()
    line, line_start = text.count("\n", 0, position) + 1, text.rfind("\n", 0, position) + 1
    for begin, end, token in _tokens(text, position):
        between = text[position:begin]
        made.say(between, line)
        line += between.count("\n")
        if "\n" in between:
            line_start = position + between.rindex("\n") + 1
        position = end
        if token is None:
            made.say(text[begin + len(_CDATA) : end - len(_CDATA_END)], line, plain=True)
            line += text.count("\n", begin, end)
            continue
        name = token["name"].upper()
        if token["close"]:
            made.end(name, line, begin - line_start + 1)
        else:
            made.begin(name, line)
    if len(made.open) > 1:
        # It was cut off: what is missing cannot be known.
        raise StatementUnreadable(Remark(code=statement_files.TAGS_MALFORMED, line=line))
    return made.top.children[0]


def _tokens(text: str, position: int) -> Iterator[tuple[int, int, re.Match[str] | None]]:
    """Tags, and None for a part that is not to be read as any; each with where it begins and ends."""
    while found := _TOKEN.search(text, position):
        if found["name"]:
            position = found.end()
            yield found.start(), position, found
        elif found[0] == _CDATA:
            end = text.find(_CDATA_END, found.end())
            if end < 0:
                return
            position = end + len(_CDATA_END)
            yield found.start(), position, None
        else:
            position = found.end()


# What they say


def _statement(node: Node, account_name: str, remarks: Remarks, counted: Counted) -> Statement:
    counted.statement(node.line)
    currency = currency_in(node.said("CURDEF"))
    if currency is None:
        remarks.problem(statement_files.CURRENCY_MISSING, node.line)
    account = _account(node.find(account_name), account_name)
    if account is None:
        remarks.problem(statement_files.ACCOUNT_MISSING, node.line)
    counted.account(account, currency, node.line)
    rows = node.first("BANKTRANLIST", "INVTRANLIST") or Node("", node.line)
    trade = next((each for each in rows.children if each.name in _TRADES), None)
    if trade is not None:
        remarks.note(statement_files.TRADES_LEFT_OUT, trade.line)
    return Statement(
        line=node.line,
        account=account,
        currency=currency,
        from_day=day_in(rows.said("DTSTART")),
        to_day=day_in(rows.said("DTEND")),
        closing=_balance(node.find("LEDGERBAL"), currency, remarks),
        available=_balance(node.find("AVAILBAL"), currency, remarks),
        entries=tuple(_entry(each, currency, remarks, counted) for each in _rows(rows)),
    )


def _rows(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.name == "STMTTRN":
            yield child
        elif child.name == "INVBANKTRAN":
            yield from child.all("STMTTRN")


def _account(node: Node | None, account_name: str) -> StatedAccount | None:
    number = node.said("ACCTID") if node else None
    if node is None or number is None:
        return None
    iban = iban_in(number)
    is_card = account_name == "CCACCTFROM"
    return StatedAccount(
        iban=iban,
        number=None if iban else number,
        bank_id=node.said("BANKID") or node.said("BROKERID"),
        kind=CREDIT_CARD if is_card else _KINDS.get((node.said("ACCTTYPE") or "").upper(), UNKNOWN_KIND),
    )


def _balance(node: Node | None, currency: str | None, remarks: Remarks) -> StatedBalance | None:
    if node is None:
        return None
    amount = amount_in(node.said("BALAMT"))
    if amount is None or currency is None:
        remarks.note(statement_files.BALANCE_UNREADABLE, node.line)
        return None
    return StatedBalance(amount=amount, currency=currency, day=day_in(node.said("DTASOF")))


def _entry(node: Node, currency: str | None, remarks: Remarks, counted: Counted) -> StatedEntry:
    counted.entry(node.line)
    other = currency_in(node.said("CURRENCY", "CURSYM"))
    if other not in (None, currency):
        remarks.problem(statement_files.CURRENCY_MISMATCH, node.line)
    payee, account = node.find("PAYEE"), node.first("BANKACCTTO", "CCACCTTO")
    name = words_in(node.said("NAME") or (payee.said("NAME") if payee else None))
    number = account.said("ACCTID") if account else None
    memo, type = words_in(node.said("MEMO")), (node.said("TRNTYPE") or "").upper()
    return StatedEntry(
        line=node.line,
        booked_on=_day(node, remarks),
        value_on=day_in(node.said("DTAVAIL")),
        initiated_on=day_in(node.said("DTUSER")),
        amount=_amount(node, remarks),
        kind=_ENTRY_KINDS.get(type, "unknown"),
        # A memo often says the name again, and more.
        wording=memo if name and memo and memo.startswith(name) else words_in(name, memo),
        bank_reference=reference_in(node.said("FITID")),
        unstructured=memo,
        counterparty_name=name,
        counterparty_iban=iban_in(number),
        counterparty_number=None if iban_in(number) else words_in(number),
        code=words_in(type),
        more=_more(node),
    )


def _day(node: Node, remarks: Remarks) -> int | None:
    said = node.find("DTPOSTED")
    if said is None or not said.text:
        remarks.problem(statement_files.DATE_MISSING, said.line if said else node.line)
        return None
    day = day_in(said.text)
    if day is None:
        remarks.problem(statement_files.DATE_UNREADABLE, said.line)
    return day


def _amount(node: Node, remarks: Remarks) -> Decimal | None:
    said = node.find("TRNAMT")
    if said is None or not said.text:
        remarks.problem(statement_files.AMOUNT_MISSING, said.line if said else node.line)
        return None
    amount = amount_in(said.text)
    if amount is None:
        remarks.problem(statement_files.AMOUNT_UNREADABLE, said.line)
    return amount


def _more(node: Node) -> dict[str, str]:
    said = {"check_number": words_in(node.said("CHECKNUM"))}
    return {name: text for name, text in said.items() if text and text.strip("0")}
