"""CAMT.052, 053 and 054 of ISO 20022, in all versions: names of elements are the schema's, namespaces are ignored.

No library that reads them is kept well enough to rely on (see ARCHITECTURE.md); lxml reads the XML, and the few
elements that matter here have been the same since the first version.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from adapters.statements.limits import Counted
from adapters.statements.tree import Node, xml_tree
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

#: The message in each document, what it holds, and how it is called here.
_MESSAGES = {
    "BkToCstmrStmt": ("Stmt", statement_files.CAMT_053),
    "BkToCstmrStmtV01": ("Stmt", statement_files.CAMT_053),
    "BkToCstmrAcctRpt": ("Rpt", statement_files.CAMT_052),
    "BkToCstmrAcctRptV01": ("Rpt", statement_files.CAMT_052),
    "BkToCstmrDbtCdtNtfctn": ("Ntfctn", statement_files.CAMT_054),
    "BkToCstmrDbtCdtNtfctnV01": ("Ntfctn", statement_files.CAMT_054),
}
#: Balances that the bank has booked. The closing one of the day before is the opening one of a day that says none.
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)
_AVAILABLE = ("CLAV", "ITAV")
#: Beside the kind of a balance: it is carried over from one page to the next.
_CARRIED = "INTM"
_PAGES = ("StmtPgntn", "RptPgntn", "NtfctnPgntn")
#: Kinds of accounts: codes of the external list of ISO 20022.
_KINDS = {
    "CACC": CHECKING,
    "CASH": CHECKING,
    "TRAN": CHECKING,
    "SVGS": SAVINGS,
    "CARD": CREDIT_CARD,
    "LOAN": LOAN,
}
#: Families of a payment in the code of a bank's transaction, as the kinds that we know.
_FAMILIES = {
    "RCDT": "transfer",
    "ICDT": "transfer",
    "RRCT": "transfer",
    "IRCT": "transfer",
    "RDDT": "order",
    "IDDT": "order",
    "CCRD": "card",
    "MCRD": "card",
    "RCHQ": "check",
    "ICHQ": "check",
}
_CASH_WITHDRAWALS = frozenset({"CWDL", "ATMW"})
_FEES = frozenset({"CHRG", "COMM", "FEES", "INTR", "TAXE"})


def read(text: str) -> StatementFile:
    """Read a document.

    Raises:
        StatementUnreadable: it is no XML, or another message.
    """
    root = xml_tree(text)
    message = next((child for child in root.children if child.name in _MESSAGES), None)
    if root.name in _MESSAGES:
        message = root
    if message is None:
        raise StatementUnreadable(Remark(code=statement_files.UNKNOWN_DIALECT, line=root.line))
    holder, format = _MESSAGES[message.name]
    remarks, counted = Remarks(), Counted()
    statements = [_statement(node, format, remarks, counted) for node in message.all(holder)]
    if not statements:
        remarks.problem(statement_files.NO_STATEMENT, message.line)
    return remarks.file(format, statements)


def _statement(node: Node, format: str, remarks: Remarks, counted: Counted) -> Statement:
    counted.statement(node.line)
    balances = list(_balances(node, remarks))
    opening = _of_kind(balances, _OPENING)
    entries = [
        (entry, currency)
        for child in node.all("Ntry")
        for entry, currency in _entries(child, remarks, counted)
    ]
    stated = currency_in(node.said("Acct", "Ccy"))
    currency = stated or (opening.currency if opening else None)
    currency = currency or next((said for _, said in entries if said), None)
    currency = currency or next((balance.currency for _, balance in balances), None)
    if currency is None:
        remarks.problem(statement_files.CURRENCY_MISSING, node.line)
    for entry, said in entries:
        if said not in (None, currency):
            remarks.problem(statement_files.CURRENCY_MISMATCH, entry.line)
    account = _account(node.find("Acct"))
    if account is None:
        remarks.problem(statement_files.ACCOUNT_MISSING, node.line)
    counted.account(account, currency, node.line)
    closing = _of_kind(balances, _CLOSING)
    for balance in (opening, closing):
        if balance is not None and balance.currency != currency:
            remarks.note(statement_files.BALANCE_CURRENCY, node.line)
    period = node.find("FrToDt")
    return Statement(
        line=node.line,
        account=account,
        currency=currency,
        number=node.said("ElctrncSeqNb") or node.said("LglSeqNb") or node.said("Id"),
        interim=format == statement_files.CAMT_052,
        continues=_is_further_page(node),
        continued=_is_followed_by_a_page(node),
        from_day=day_in(_moment(period.first("FrDtTm", "FrDt"))) if period else None,
        to_day=day_in(_moment(period.first("ToDtTm", "ToDt"))) if period else None,
        opening=opening,
        closing=closing,
        available=_of_kind(balances, _AVAILABLE),
        entries=tuple(entry for entry, _ in entries),
    )


def _is_further_page(node: Node) -> bool:
    page = node.first(*_PAGES)
    number = page.said("PgNb") if page else None
    return (number or "1").lstrip("0") not in ("", "1") or _is_carried(node, _OPENING)


def _is_followed_by_a_page(node: Node) -> bool:
    page = node.first(*_PAGES)
    is_last = page.said("LastPgInd") if page else None
    return is_last in ("false", "0") or _is_carried(node, _CLOSING)


def _is_carried(node: Node, kinds: tuple[str, ...]) -> bool:
    return any(
        _kind_of(balance) in kinds and balance.said("Tp", "SubTp", "Cd") == _CARRIED
        for balance in node.all("Bal")
    )


def _moment(node: Node | None) -> str | None:
    return node.text if node else None


def _account(node: Node | None) -> StatedAccount | None:
    if node is None:
        return None
    number = node.said("Id", "Othr", "Id") or node.said("Id", "PrtryAcct", "Id")
    iban = iban_in(node.said("Id", "IBAN")) or iban_in(number)
    # An IBAN with a wrong check number still names an account: as a number, which links to nothing.
    number = None if iban else number or node.said("Id", "IBAN")
    if iban is None and number is None:
        return None
    bank = node.find("Svcr", "FinInstnId")
    return StatedAccount(
        iban=iban,
        number=number,
        bank_id=bank.said("ClrSysMmbId", "MmbId") if bank else None,
        bic=_bic(bank),
        bank_name=words_in(bank.said("Nm")) if bank else None,
        name=words_in(node.said("Nm")),
        owner=words_in(node.said("Ownr", "Nm")),
        kind=_KINDS.get(node.said("Tp", "Cd") or "", UNKNOWN_KIND),
    )


def _bic(institution: Node | None) -> str | None:
    return (institution.said("BICFI") or institution.said("BIC")) if institution else None


def _balances(node: Node, remarks: Remarks) -> Iterator[tuple[str, StatedBalance]]:
    for balance in node.all("Bal"):
        amount, currency = _amount(balance.find("Amt"))
        sign = _sign(balance)
        if amount is None or currency is None or sign is None:
            remarks.note(statement_files.BALANCE_UNREADABLE, balance.line)
            continue
        day = _day(balance.find("Dt"))
        yield _kind_of(balance), StatedBalance(amount=sign * amount, currency=currency, day=day)


def _kind_of(balance: Node) -> str:
    return balance.said("Tp", "CdOrPrtry", "Cd") or balance.said("Tp", "Cd") or ""


def _of_kind(balances: list[tuple[str, StatedBalance]], kinds: tuple[str, ...]) -> StatedBalance | None:
    """The balance of the first of these kinds that there is."""
    return next((balance for kind in kinds for name, balance in balances if name == kind), None)


def _amount(node: Node | None) -> tuple[Decimal | None, str | None]:
    if node is None:
        return None, None
    amount = amount_in(node.text)
    if amount is not None and amount < 0:
        # The schema begins at 0: whether it is meant beside the word for debit or in its place, nobody knows.
        amount = None
    return amount, currency_in(node.attributes.get("Ccy"))


def _sign(node: Node) -> int | None:
    return {"CRDT": 1, "DBIT": -1}.get(node.said("CdtDbtInd") or "")


def _day(node: Node | None) -> int | None:
    if node is None:
        return None
    return day_in(node.said("Dt") or node.said("DtTm") or node.text)


def _entries(node: Node, remarks: Remarks, counted: Counted) -> Iterator[tuple[StatedEntry, str | None]]:
    """The row of an entry; none of what is for information only."""
    status = node.said("Sts", "Cd") or node.said("Sts") or ""
    if status == "INFO":
        remarks.note(statement_files.INFORMATION_LEFT_OUT, node.line)
        return
    counted.entry(node.line)
    amount, currency = _amount(node.find("Amt"))
    sign = _sign(node)
    if amount is None:
        missing = node.said("Amt") is None
        code = statement_files.AMOUNT_MISSING if missing else statement_files.AMOUNT_UNREADABLE
        remarks.problem(code, _line_of(node, "Amt"))
    elif sign is None:
        remarks.problem(statement_files.SIGN_UNREADABLE, _line_of(node, "CdtDbtInd"))
    details = [each for group in node.all("NtryDtls") for each in group.all("TxDtls")]
    # Of an entry of many payments the bank booked the sum: it is one row, and no one's in particular.
    detail = details[0] if len(details) == 1 else Node("", node.line)
    booked_on, value_on = (_entry_day(node, name, remarks) for name in ("BookgDt", "ValDt"))
    initiated_on = _initiated_on(detail.find("RltdDts"))
    days = [day for day in (booked_on, value_on, initiated_on) if day is not None]
    if not days and not (node.find("BookgDt") or node.find("ValDt")):
        remarks.problem(statement_files.DATE_MISSING, node.line)
    code, sub_code, kind = _code(node.find("BkTxCd") or Node("", node.line))
    remittance = detail.find("RmtInf")
    unstructured = words_in(*(each.text for each in remittance.all("Ustrd"))) if remittance else None
    structured = _structured(remittance)
    name, account, bic = _counterparty(detail, credited=sign == 1)
    batch = str(len(details)) if len(details) > 1 else node.said("NtryDtls", "Btch", "NbOfTxs")
    entry = StatedEntry(
        line=node.line,
        booked_on=next(iter(days), None),
        value_on=value_on,
        initiated_on=initiated_on,
        amount=None if amount is None or sign is None else sign * amount,
        pending=status in ("PDNG", "FUTR"),
        kind=kind,
        wording=words_in(
            node.said("AddtlNtryInf"),
            unstructured or detail.said("AddtlTxInf"),
            None if unstructured else name,
        )
        or structured,
        bank_reference=reference_in(node.said("AcctSvcrRef")),
        end_to_end=reference_in(detail.said("Refs", "EndToEndId")),
        structured=structured,
        unstructured=unstructured,
        mandate=reference_in(detail.said("Refs", "MndtId")),
        creditor=words_in(detail.said("RltdPties", "Cdtr", "Id", "PrvtId", "Othr", "Id")),
        counterparty_name=name,
        counterparty_iban=iban_in(account),
        counterparty_number=None if iban_in(account) else words_in(account),
        counterparty_bic=bic,
        code=code,
        sub_code=sub_code,
        more={"batch_size": batch} if batch not in (None, "1") else {},
    )
    yield entry, currency


def _line_of(node: Node, name: str) -> int:
    found = node.find(name)
    return found.line if found else node.line


def _entry_day(node: Node, name: str, remarks: Remarks) -> int | None:
    said = node.find(name)
    day = _day(said)
    if said is not None and day is None:
        remarks.problem(statement_files.DATE_UNREADABLE, said.line)
    return day


def _initiated_on(dates: Node | None) -> int | None:
    said = dates.first("TxDtTm", "AccptncDtTm", "IntrBkSttlmDt") if dates else None
    return day_in(said.text) if said else None


def _code(node: Node) -> tuple[str | None, str | None, str]:
    domain = node.find("Domn")
    if domain is None:
        return words_in(node.said("Prtry", "Cd")), None, "unknown"
    family, sub_family = domain.said("Fmly", "Cd") or "", domain.said("Fmly", "SubFmlyCd") or ""
    kind = _FAMILIES.get(family, "unknown")
    if sub_family in _CASH_WITHDRAWALS:
        kind = "withdrawal"
    elif sub_family in _FEES:
        kind = "bank"
    code = "-".join(filter(None, (domain.said("Cd"), family)))
    return words_in(code), words_in(sub_family), kind


def _structured(remittance: Node | None) -> str | None:
    if remittance is None:
        return None
    return words_in(*(each.said("CdtrRefInf", "Ref") for each in remittance.all("Strd")))


def _counterparty(detail: Node, *, credited: bool) -> tuple[str | None, str | None, str | None]:
    """Name, account and bank of the other side: of what came in who paid, else who was paid."""
    side = "Dbtr" if credited else "Cdtr"
    parties, agents = detail.find("RltdPties"), detail.find("RltdAgts")
    if parties is None:
        return None, None, None
    party, account = parties.find(side), parties.find(f"{side}Acct")
    name = (party.said("Nm") or party.said("Pty", "Nm")) if party else None
    number = (account.said("Id", "IBAN") or account.said("Id", "Othr", "Id")) if account else None
    institution = agents.find(f"{side}Agt", "FinInstnId") if agents else None
    return words_in(name), number, _bic(institution)
