"""Statement files made for tests: of nobody, at no bank."""

from __future__ import annotations

from typing import NamedTuple

#: An IBAN of the examples of the German central bank: its check number is right.
IBAN = "DE89370400440532013000"
OTHER_IBAN = "FR1420041010050500013M02606"


class Row(NamedTuple):
    day: str
    """YYYY-MM-DD"""
    amount: str
    """Signed, with a point."""
    wording: str = "BAKERY"
    reference: str | None = None
    status: str = "BOOK"


def camt(
    *rows: Row,
    iban: str = IBAN,
    opening: str | None = None,
    closing: str | None = None,
    closing_day: str = "2026-03-31",
    version: str = "053",
    more: str = "",
) -> bytes:
    message, holder = {
        "052": ("BkToCstmrAcctRpt", "Rpt"),
        "053": ("BkToCstmrStmt", "Stmt"),
        "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    }[version]
    balances = _balance("OPBD", opening, "2026-03-01") + _balance("CLBD", closing, closing_day)
    entries = "".join(map(_entry, rows))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}.001.08">
<{message}>
<{holder}>
<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>
{balances}{entries}{more}</{holder}>
</{message}>
</Document>
""".encode()


def _signed(amount: str) -> tuple[str, str]:
    return amount.lstrip("-"), "DBIT" if amount.startswith("-") else "CRDT"


def _balance(kind: str, amount: str | None, day: str) -> str:
    if amount is None:
        return ""
    size, sign = _signed(amount)
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="EUR">{size}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>\n'
    )


def _entry(row: Row) -> str:
    size, sign = _signed(row.amount)
    reference = "" if row.reference is None else f"<AcctSvcrRef>{row.reference}</AcctSvcrRef>"
    return (
        f'<Ntry><Amt Ccy="EUR">{size}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>{row.status}</Cd></Sts>'
        f"<BookgDt><Dt>{row.day}</Dt></BookgDt>{reference}"
        f"<NtryDtls><TxDtls><RmtInf><Ustrd>{row.wording}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n"
    )


def mt940(
    *rows: Row,
    account: str = IBAN,
    opening: str | None = "0.00",
    closing: str | None = None,
    opens: str = "60F",
    closes: str = "62F",
) -> bytes:
    lines = [":20:STARTUMS", f":25:{account}", ":28C:1/1"]
    if opening is not None:
        lines.append(f":{opens}:{_mt_balance(opening, '260301')}")
    for row in rows:
        size, sign = _signed(row.amount)
        day = row.day.replace("-", "")[2:]
        reference = f"//{row.reference}" if row.reference else ""
        mark = "D" if sign == "DBIT" else "C"
        lines += [
            f":61:{day}{day[2:]}{mark}{size.replace('.', ',')}NTRFNONREF{reference}",
            f":86:{row.wording}",
        ]
    if closing is not None:
        lines.append(f":{closes}:{_mt_balance(closing, '260331')}")
    return "\r\n".join([*lines, "-", ""]).encode()


def _mt_balance(amount: str, day: str) -> str:
    size, sign = _signed(amount)
    return f"{'D' if sign == 'DBIT' else 'C'}{day}EUR{size.replace('.', ',')}"


def ofx(*rows: Row, closing: str | None = None, account: str = "70001") -> bytes:
    entries = "".join(
        f"<STMTTRN><TRNTYPE>OTHER<DTPOSTED>{row.day.replace('-', '')}120000[0:GMT]<TRNAMT>{row.amount}"
        f"<FITID>{row.reference or index}<NAME>{row.wording}</STMTTRN>\n"
        for index, row in enumerate(rows)
    )
    balance = "" if closing is None else f"<LEDGERBAL><BALAMT>{closing}<DTASOF>20260331</LEDGERBAL>"
    return f"""OFXHEADER:100
DATA:OFXSGML
VERSION:102
ENCODING:USASCII
CHARSET:1252

<OFX><BANKMSGSRSV1><STMTTRNRS><STATUS><CODE>0<SEVERITY>INFO</STATUS>
<STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>12345<ACCTID>{account}<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST>
{entries}</BANKTRANLIST>{balance}</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
""".encode("cp1252")
