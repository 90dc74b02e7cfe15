"""A file as bytes, read by the reader of its format."""

from __future__ import annotations

import re
from collections.abc import Callable

from adapters.statements import camt, mt, ofx
from adapters.statements.text import text_of
from application import statement_files
from application.statement_files import Remark, StatementFile, StatementUnreadable

_READERS: dict[str, Callable[[str], StatementFile]] = {
    statement_files.CAMT: camt.read,
    statement_files.MT940: mt.read,
    statement_files.OFX: ofx.read,
}
#: How far into a file its format shows, in characters.
_LOOKED_AT = 4_096
_OFX = re.compile(r"\s*(?:OFXHEADER\s*:|<\?OFX\b|<OFX\s*>)", re.IGNORECASE)
_OFX_AFTER_DECLARATION = re.compile(
    r"\s*<\?xml\b[^>]*>\s*(?:<!--.*?-->\s*)*<(?:\?OFX\b|OFX\s*>)", re.IGNORECASE | re.DOTALL
)
_MARKUP = re.compile(r"\s*<")
_FIELD = re.compile(r"^-?:(?:[0-9]{2}[A-Z]?|NS):", re.ASCII | re.MULTILINE)


def read(content: bytes, format: str | None = None) -> StatementFile:
    """Read a file, as `format` if that is given, else as what it looks like.

    Raises:
        StatementUnreadable: it is no file that is read here, or not whole.
    """
    text = text_of(content)
    found = format or _format_of(text)
    if found is None:
        raise StatementUnreadable(Remark(code=statement_files.NOT_A_STATEMENT, line=1))
    return _READERS[found](text)


def _format_of(text: str) -> str | None:
    head = text[:_LOOKED_AT]
    if _OFX.match(head) or _OFX_AFTER_DECLARATION.match(head):
        return statement_files.OFX
    if _MARKUP.match(head):
        return statement_files.CAMT
    return statement_files.MT940 if _FIELD.search(text) else None
