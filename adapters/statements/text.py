"""From bytes to text: what a file is by its first bytes, and the encoding it is in."""

from __future__ import annotations

import codecs
import re

from application import statement_files
from application.statement_files import FILE_SIZE_MAX, Remark, StatementUnreadable

#: How archives and other packed files begin. None is unpacked: what one unpacks to is never what it seems.
_PACKED = (
    b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf\x27\x1c", b"Rar!",
    b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d", b"\x1f\xa0", b"LZIP", b"MSCF",
)  # fmt: skip
_TAR_MARK = (257, b"ustar")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: The encodings that an XML declaration may name. Each of them leaves markup where it is.
_DECLARED = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}
_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_MARKUP = re.compile(rb"\s*<")


def text_of(content: bytes) -> str:
    """The text of a file, each line of it ended by "\\n".

    Raises:
        StatementUnreadable: it is empty, too large, packed, or in no encoding that is read here.
    """
    if len(content) > FILE_SIZE_MAX:
        raise StatementUnreadable(Remark(code=statement_files.TOO_LARGE))
    at, mark = _TAR_MARK
    if content.startswith(_PACKED) or content[at : at + len(mark)] == mark:
        raise StatementUnreadable(Remark(code=statement_files.ARCHIVE, line=1))
    text = _decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise StatementUnreadable(Remark(code=statement_files.EMPTY, line=1))
    return text


def _decoded(content: bytes) -> str:
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return _strictly(content[len(bom) :], encoding)
    if _MARKUP.match(content[:1_000]):
        declared = _DECLARATION.match(content[:1_000])
        if declared is not None:
            name = declared[1].decode().lower()
            if name not in _DECLARED:
                raise StatementUnreadable(Remark(code=statement_files.ENCODING, line=1))
            encoding = _DECLARED[name]
            # What is no text in it is no markup either: names of people suffer, and amounts do not.
            return (
                _strictly(content, encoding) if encoding == "utf-8" else content.decode(encoding, "replace")
            )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # What is no UTF-8 is nearly always this; the five bytes that mean nothing in it are kept apart.
        return content.decode("cp1252", errors="replace")


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StatementUnreadable(Remark(code=statement_files.ENCODING, line=line)) from None


def line_at(text: str, position: int) -> tuple[int, int]:
    """Line and column of a position in a text, both from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
