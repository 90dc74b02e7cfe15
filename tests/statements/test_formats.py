"""What is read of each format, field by field, in files small enough to be seen whole."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from adapters.statements.reader import read
from application.statement_files import Remark, StatedAccount, StatementFile, StatementUnreadable
from domain.transactions import day_of
from tests.statements.files import IBAN, OTHER_IBAN, Row, camt, mt940, ofx


def day(text: str) -> int:
    return day_of(date.fromisoformat(text))


def problems(content: bytes) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.line) for problem in read(content).problems]


def refusal(content: bytes, format: str | None = None) -> Remark:
    with pytest.raises(StatementUnreadable) as refused:
        read(content, format)
    return refused.value.problem


def entry(file: StatementFile, index: int = 0) -> Any:
    return file.statements[0].entries[index]


# CAMT

CAMT_DETAIL = """<Ntry><Amt Ccy="EUR">120.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd><Sts>BOOK</Sts>
<BookgDt><DtTm>2026-03-05T23:30:00-05:00</DtTm></BookgDt><ValDt><Dt>2026-03-06</Dt></ValDt>
<AcctSvcrRef>REF-1</AcctSvcrRef>
<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RDDT</Cd><SubFmlyCd>ESDD</SubFmlyCd></Fmly></Domn></BkTxCd>
<NtryDtls><TxDtls><Refs><EndToEndId>E2E-7</EndToEndId><MndtId>M-1</MndtId></Refs>
<RltdPties><Dbtr><Nm>Somebody</Nm></Dbtr><Cdtr><Pty><Nm>Power &amp; Light</Nm></Pty></Cdtr>
<CdtrAcct><Id><IBAN>FR14 2004 1010 0505 0001 3M02 606</IBAN></Id></CdtrAcct></RltdPties>
<RltdAgts><CdtrAgt><FinInstnId><BICFI>PSSTFRPP</BICFI></FinInstnId></CdtrAgt></RltdAgts>
<RmtInf><Ustrd>Bill</Ustrd><Ustrd>March</Ustrd><Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf>
</TxDtls></NtryDtls><AddtlNtryInf>DIRECT DEBIT</AddtlNtryInf></Ntry>
"""


def test_a_camt_entry_is_read_whole() -> None:
    """The day of a moment is the one that is written: it is never shifted through a zone. A reversal has the sign that
    it says. What is paid is paid to the creditor."""
    file = read(camt(more=CAMT_DETAIL, opening="200.00", closing="79.50"))
    assert (file.format, file.problems) == ("CAMT.053", ())
    said = entry(file)
    assert (said.booked_on, said.value_on) == (day("2026-03-05"), day("2026-03-06"))
    assert (said.amount, said.pending, said.kind) == (Decimal("-120.50"), False, "order")
    assert (said.wording, said.unstructured) == ("DIRECT DEBIT Bill March", "Bill March")
    assert (said.bank_reference, said.end_to_end, said.mandate) == ("REF-1", "E2E-7", "M-1")
    assert (said.structured, said.code, said.sub_code) == ("RF18539007547034", "PMNT-RDDT", "ESDD")
    assert (said.counterparty_name, said.counterparty_iban) == ("Power & Light", OTHER_IBAN)
    assert said.counterparty_bic == "PSSTFRPP"
    (statement,) = file.statements
    assert statement.account == StatedAccount(iban=IBAN)
    assert (statement.opening.amount, statement.closing.amount) == (Decimal("200.00"), Decimal("79.50"))
    assert (statement.closing.day, statement.currency) == (day("2026-03-31"), "EUR")


def test_camt_statuses_decide_what_is_pending_and_what_is_left_out() -> None:
    file = read(
        camt(
            Row("2026-03-02", "-1.00", status="BOOK"),
            Row("2026-03-02", "-2.00", status="PDNG"),
            Row("2026-03-02", "-3.00", status="INFO"),
            version="052",
        )
    )
    assert [(each.amount, each.pending) for each in file.statements[0].entries] == [
        (Decimal("-1.00"), False),
        (Decimal("-2.00"), True),
    ]
    assert [(note.code, note.line) for note in file.notes] == [("information_left_out", 8)]
    assert file.statements[0].interim


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("<Dt>2026-03-02</Dt>", "<Dt>2026-02-30</Dt>", "date_unreadable"),
        ("<BookgDt><Dt>2026-03-02</Dt></BookgDt>", "", "date_missing"),
        (">1.00<", ">1.00x<", "amount_unreadable"),
        (">1.00<", ">NaN<", "amount_unreadable"),
        (">1.00<", f">{'9' * 30}<", "amount_unreadable"),
        (">1.00<", ">-1.00<", "amount_unreadable"),
        (">1.00<", "><", "amount_missing"),
        ("DBIT", "DEBIT", "sign_unreadable"),
        ('<Ntry><Amt Ccy="EUR">', '<Ntry><Amt Ccy="USD">', "currency_mismatch"),
    ],
)
def test_a_broken_camt_entry_says_what_and_where(before: str, after: str, code: str) -> None:
    content = camt(Row("2026-03-01", "5.00"), Row("2026-03-02", "-1.00")).decode()
    first, second = content.rsplit("<Ntry>", 1)
    second = f"<Ntry>{second}"
    assert before in second
    assert problems((first + second.replace(before, after)).encode()) == [(code, 7)]


def test_the_amounts_of_camt_have_no_sign_of_their_own() -> None:
    """Their schema begins at 0; a 0 may be written any way, and a plus says nothing."""
    content = camt(Row("2026-03-02", "-1.00"), opening="5.00")
    for written, amount in {b"+1.00": "-1.00", b"-0.00": "0"}.items():
        assert entry(read(content.replace(b">1.00<", b">%b<" % written))).amount == Decimal(amount)
    file = read(content.replace(b">5.00<", b">-5.00<"))
    assert file.statements[0].opening is None
    assert [(note.code, note.line) for note in file.notes] == [("balance_unreadable", 6)]


def test_a_camt_statement_without_account_or_currency_says_so() -> None:
    content = camt().decode()
    assert problems(content.replace("<Acct>", "<No>").replace("</Acct>", "</No>").encode()) == [
        ("currency_missing", 4),
        ("account_missing", 4),
    ]


def test_another_message_of_iso_20022_is_no_statement() -> None:
    content = b'<?xml version="1.0"?>\n<Document xmlns="urn:pain"><CstmrCdtTrfInitn/></Document>'
    assert refusal(content) == Remark(code="unknown_dialect", line=2)


def test_malformed_xml_says_line_and_column() -> None:
    problem = refusal(b"<Document>\n<BkToCstmrStmt>\n<Stmt></Document>")
    assert (problem.code, problem.line) == ("xml_malformed", 3)
    assert problem.column


# MT940


def test_an_mt940_entry_with_german_details_is_read_whole() -> None:
    content = (
        f":20:X\n:25:{IBAN}\n:28C:5/1\n:60F:C260301EUR100,\n"
        ":61:2603020303RD12,5NTRFNONREF//B-77\n"
        ":86:166?00RETOURE?20EREF+E2E-9?21SVWZ+Rent March?30PBNKDEFF?31FR1420041010050500013M02606?32Jo\n"
        "?33hnson\n:62F:C260331EUR112,5\n-\n"
    )
    file = read(content.encode())
    assert (file.format, file.problems, file.notes) == ("MT940", (), ())
    said = entry(file)
    # RD gives back what was taken.
    assert (said.amount, said.booked_on, said.value_on) == (
        Decimal("12.5"),
        day("2026-03-03"),
        day("2026-03-02"),
    )
    assert (said.wording, said.end_to_end, said.bank_reference) == ("RETOURE Rent March", "E2E-9", "B-77")
    assert (said.counterparty_name, said.counterparty_iban) == ("Johnson", OTHER_IBAN)
    assert (said.counterparty_bic, said.code, said.sub_code) == ("PBNKDEFF", "NTRF", "166")
    assert (said.line, file.statements[0].number) == (5, "5/1")


@pytest.mark.parametrize(
    ("mark", "amount", "pending"),
    [
        ("C", "1.00", False),
        ("D", "-1.00", False),
        ("RC", "-1.00", False),
        ("RD", "1.00", False),
        ("EC", "1.00", True),
        ("ED", "-1.00", True),
    ],
)
def test_the_marks_of_mt940(mark: str, amount: str, pending: bool) -> None:
    content = mt940(Row("2026-03-02", "1.00")).replace(b"0302C1", f"0302{mark}1".encode())
    said = entry(read(content))
    assert (said.amount, said.pending) == (Decimal(amount), pending)


@pytest.mark.parametrize(
    ("value_day", "entry_day", "booked_on"),
    [
        ("251231", "0102", "2026-01-02"),
        ("260102", "1231", "2025-12-31"),
        ("991230", "1231", "1999-12-31"),
        ("240228", "0229", "2024-02-29"),
    ],
)
def test_a_day_without_a_year_is_in_the_year_nearby(value_day: str, entry_day: str, booked_on: str) -> None:
    content = mt940(Row("2026-03-02", "1.00")).replace(
        b":61:2603020302", f":61:{value_day}{entry_day}".encode()
    )
    assert entry(read(content)).booked_on == day(booked_on)


def test_dutch_details_are_read() -> None:
    content = mt940(
        Row("2026-03-02", "-5.00", f"/EREF/E-1/IBAN/{OTHER_IBAN}/BIC/PSSTFRPP/NAME/ACME B.V./REMI/Order 5")
    )
    said = entry(read(content))
    assert (said.end_to_end, said.counterparty_iban) == ("E-1", OTHER_IBAN)
    assert (said.counterparty_name, said.wording) == ("ACME B.V.", "ACME B.V. Order 5")


@pytest.mark.parametrize(
    ("before", "after", "code", "line"),
    [
        ("C1,00NTRF", "X1,00NTRF", "entry_unreadable", 5),
        ("C1,00NTRF", "C,,NTRF", "amount_unreadable", 5),
        (":61:2603020302C", ":61:2613020302C", "date_unreadable", 5),
        (":61:2603020302C", ":61:261399    C", "date_unreadable", 5),
        (f":25:{IBAN}\r\n", "", "account_missing", 1),
        (":86:", ":25:", "field_misplaced", 6),
        ("NTRFNONREF", "NTRF" + "X" * 2_000, "field_too_long", 5),
    ],
)
def test_a_broken_mt940_field_says_what_and_where(before: str, after: str, code: str, line: int) -> None:
    content = mt940(Row("2026-03-02", "1.00")).decode()
    assert before in content
    assert problems(content.replace(before, after).encode()) == [(code, line)]


def test_a_value_day_on_the_thirtieth_of_february_is_its_last() -> None:
    content = mt940(Row("2026-03-02", "1.00")).replace(b":61:2603020302", b":61:2602300301")
    file = read(content)
    assert (entry(file).value_on, entry(file).booked_on) == (day("2026-02-28"), day("2026-03-01"))
    assert ("value_day_adjusted", 5) in [(note.code, note.line) for note in file.notes]


def test_a_balance_that_is_missing_or_unreadable_is_noted_and_none() -> None:
    content = mt940(Row("2026-03-02", "1.00"), closing="1.00")
    for broken, codes in {
        mt940(Row("2026-03-02", "1.00")): ["balance_missing"],
        content.replace(b":62F:C260331EUR", b":62F:C260331"): ["balance_missing", "balance_unreadable"],
    }.items():
        file = read(broken)
        assert (file.problems, file.statements[0].closing) == ((), None)
        assert [note.code for note in file.notes] == codes


def test_rows_of_mt942_are_pending() -> None:
    content = (
        f":20:X\n:25:{IBAN}\n:28C:1/1\n:34F:EURD0,\n:13D:2603021200+0100\n:61:260302D5,NTRFNONREF//B1\n-"
    )
    file = read(content.encode())
    assert (file.format, file.statements[0].currency, entry(file).pending) == ("MT942", "EUR", True)
    assert file.statements[0].interim


def test_a_message_with_an_opening_balance_is_a_statement_whatever_else_it_has() -> None:
    content = mt940(Row("2026-03-02", "-1.00"), closing="-1.00").replace(b":60F:", b":34F:EUR0,\r\n:60F:")
    file = read(content)
    assert (file.format, file.statements[0].interim, entry(file).pending) == ("MT940", False, False)


INTERIM_FIELDS = ":34F:EURD0,\n:13D:2603031200+0100\n"
INTERIM_HEADER = "{1:F01BANKDEFFXXXX0000000000}{2:O9421200260303BANKDEFFXXXX}{4:\n"
STATEMENT_HEADER = "{1:F01BANKDEFFXXXX0000000000}{2:O9401200260303BANKDEFFXXXX}{4:\n"


@pytest.mark.parametrize(
    ("header", "fields"), [("", INTERIM_FIELDS), (INTERIM_HEADER, ":34F:EUR0,\n"), (INTERIM_HEADER, "")]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_each_message_says_for_itself_whether_its_day_is_over(
    header: str, fields: str, is_first: bool
) -> None:
    """An MT940 and an MT942 in one file, in either order."""
    currency = "" if fields else "EUR"
    interim = f"{header}:20:X\n:25:{IBAN}{currency}\n:28C:1/1\n{fields}:61:2603030303D5,00NTRFNONREF\n:86:EXPECTED\n-\n"
    booked = STATEMENT_HEADER + mt940(Row("2026-03-02", "-1.00"), closing="-1.00").decode()
    file = read((interim + booked if is_first else booked + interim).encode())
    assert (file.format, file.problems) == ("MT940", ())
    said = [(each.interim, [row.pending for row in each.entries]) for each in file.statements]
    assert sorted(said) == [(False, [False]), (True, [True])]
    assert said[0][0] is is_first


def test_an_account_may_have_its_bank_and_its_currency_beside_it() -> None:
    for value, account in {
        "51210600/9223382012EUR": StatedAccount(number="9223382012", bank_id="51210600"),
        f"{IBAN}EUR": StatedAccount(iban=IBAN),
        f"COBADEFF/{IBAN}": StatedAccount(iban=IBAN),
        # A wrong check number: no evidence of anything, and a name still.
        "DE00370400440532013000": StatedAccount(number="DE00370400440532013000"),
    }.items():
        assert read(mt940(account=value)).statements[0].account == account


# OFX


def test_an_ofx_entry_is_read_whole() -> None:
    content = ofx(Row("2026-03-02", "-12.30", "COFFEE &amp; CO", "F-1"), closing="87.70").decode()
    content = content.replace("</STMTTRN>", "<MEMO>COFFEE &amp; CO PARIS<CHECKNUM>12</STMTTRN>")
    file = read(content.encode())
    assert (file.format, file.problems) == ("OFX", ())
    said = entry(file)
    assert (said.booked_on, said.amount) == (day("2026-03-02"), Decimal("-12.30"))
    assert (said.wording, said.bank_reference, said.more) == (
        "COFFEE & CO PARIS",
        "F-1",
        {"check_number": "12"},
    )
    (statement,) = file.statements
    assert statement.account == StatedAccount(number="70001", bank_id="12345", kind="CHECKING")
    assert (statement.closing.amount, statement.closing.day) == (Decimal("87.70"), day("2026-03-31"))


def test_an_empty_value_is_not_the_one_that_follows_it() -> None:
    content = ofx(Row("2026-03-02", "-1.00")).replace(b"<TRNAMT>", b"<DTAVAIL>\n<TRNAMT>")
    assert entry(read(content)).amount == Decimal("-1.00")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("<DTPOSTED>20260302120000[0:GMT]", "<DTPOSTED>", "date_missing"),
        ("<DTPOSTED>20260302120000[0:GMT]", "", "date_missing"),
        ("20260302120000", "20260231120000", "date_unreadable"),
        ("<TRNAMT>-1.00", "<TRNAMT>one", "amount_unreadable"),
        ("<TRNAMT>-1.00", "", "amount_missing"),
        ("<CURDEF>EUR", "", "currency_missing"),
        ("<ACCTID>70001", "", "account_missing"),
        ("<SEVERITY>INFO", "<SEVERITY>ERROR", "source_reports_error"),
    ],
)
def test_a_broken_ofx_file_says_what(before: str, after: str, code: str) -> None:
    content = ofx(Row("2026-03-02", "-1.00")).decode()
    assert before in content
    assert [name for name, _ in problems(content.replace(before, after).encode())] == [code]


def test_a_file_that_was_cut_off_is_not_read_in_part() -> None:
    for content in (ofx(Row("2026-03-02", "1.00")), camt(Row("2026-03-02", "1.00"))):
        problem = refusal(content[: content.rindex(b"</")])
        assert problem.code in ("tags_malformed", "xml_malformed")
        assert problem.line


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1"])
def test_the_letters_of_a_file_are_read_in_its_encoding(encoding: str) -> None:
    content = mt940(Row("2026-03-02", "-1.00", "Müller Café")).decode().encode(encoding)
    assert entry(read(content)).wording == "Müller Café"


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "UTF-8"])
def test_xml_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    content = camt(Row("2026-03-02", "-1.00", "Müller Café")).decode().replace("UTF-8", encoding)
    assert entry(read(content.encode(encoding))).wording == "Müller Café"


def test_xml_with_a_byte_order_mark_of_two_bytes_is_read() -> None:
    content = camt(Row("2026-03-02", "-1.00", "Müller")).decode().replace("UTF-8", "UTF-16")
    assert entry(read(content.encode("utf-16"))).wording == "Müller"


def test_xml_in_no_encoding_that_is_read_here_is_refused() -> None:
    assert refusal(camt().replace(b"UTF-8", b"UTF-7")) == Remark(code="encoding_unreadable", line=1)
    broken = camt(Row("2026-03-02", "-1.00", "M?ller")).replace(b"M?ller", b"M\xfcller")
    assert refusal(broken) == Remark(code="encoding_unreadable", line=6)


def test_lines_are_counted_the_same_whatever_ends_them() -> None:
    content = mt940(Row("2026-03-02", "1.00")).replace(b"C1,00NTRF", b"X1,00NTRF")
    for end in (b"\r\n", b"\n", b"\r"):
        assert problems(content.replace(b"\r\n", end)) == [("entry_unreadable", 5)]


def test_a_format_that_is_named_is_not_guessed() -> None:
    assert refusal(mt940(Row("2026-03-02", "1.00")), "CAMT").code == "xml_malformed"
    assert refusal(camt(), "MT940").code == "not_a_statement"
