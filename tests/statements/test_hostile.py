"""Files that mean harm: refused by name, in little time, whatever they hold."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.statements import limits
from adapters.statements.process import ProcessReader
from adapters.statements.reader import read
from application import statement_files
from application.statement_files import FILE_SIZE_MAX, StatementUnreadable
from tests.statements.files import Row, camt, mt940, ofx

MEGABYTE = 1_000_000
#: What reading takes at most, on a machine that does other things too. A hang takes for ever.
SECONDS = 20.0


def code_of(content: bytes) -> str | None:
    try:
        file = read(content)
    except StatementUnreadable as refused:
        return refused.problem.code
    return file.problems[0].code if file.problems else None


# Markup

BILLION_LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Document><BkToCstmrStmt><Stmt>&c;</Stmt></BkToCstmrStmt></Document>"""
EXTERNAL = b"""<?xml version="1.0"?>
<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<Document><BkToCstmrStmt><Stmt><Id>&x;</Id></Stmt></BkToCstmrStmt></Document>"""
REMOTE = b"""<?xml version="1.0"?>
<!DOCTYPE Document SYSTEM "http://127.0.0.1:9/x.dtd">
<Document><BkToCstmrStmt/></Document>"""


@pytest.mark.parametrize("content", [BILLION_LAUGHS, EXTERNAL, REMOTE], ids=["laughs", "file", "remote"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_before_anything_reads_it(content: bytes, encoding: str) -> None:
    with pytest.raises(StatementUnreadable) as refused:
        read(content.decode().encode(encoding))
    assert (refused.value.problem.code, refused.value.problem.line) == ("dtd_not_accepted", 2)


def test_ofx_has_no_document_type_either() -> None:
    assert code_of(b"OFXHEADER:100\n" + BILLION_LAUGHS.replace(b"Document", b"OFX")) == "dtd_not_accepted"


def test_an_entity_that_nobody_declared_is_malformed() -> None:
    assert code_of(camt(more="&secret;")) == "xml_malformed"


def test_no_instruction_includes_anything() -> None:
    included = camt(
        Row("2026-03-02", "1.00", '<include xmlns="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>')
    )
    assert read(included).statements[0].entries[0].wording is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<a>" * 300_000, id="deep"),
        pytest.param(b"<a " + b"x" * (5 * MEGABYTE), id="attribute"),
        pytest.param(b"<a " + b'x="1" ' * 500_000 + b"/>", id="attributes"),
        pytest.param(b"<" * (5 * MEGABYTE), id="brackets"),
        pytest.param(b"<OFX>" + b"<A>" * 900_000, id="tags"),
        pytest.param(b"<OFX>" + b"<A>x" * 200_000, id="values"),
        pytest.param(b"<OFX>" + b"< " * 900_000, id="no tags"),
        pytest.param(b"<OFX>" + b"<![CDATA[" * 900_000, id="open parts"),
        pytest.param(b"<OFX>" + b"<![CDATA[xxxxxxxx]]>" * 200_000, id="parts"),
        pytest.param(b"<OFX><A>" + b"&#38;" * MEGABYTE + b"</OFX>", id="entities"),
    ],
)
def test_markup_without_end_is_refused_in_time(content: bytes) -> None:
    began = time.monotonic()
    assert code_of(content) in {
        "xml_malformed",
        "tags_malformed",
        "too_complex",
        "no_statement",
        "dtd_not_accepted",
    }
    assert time.monotonic() - began < SECONDS


# Archives


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../statement.sta"))
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_zip({"statement.xml": camt(Row("2026-03-02", "1.00"))}), id="zip"),
        pytest.param(_zip({"bomb": b"0" * (50 * MEGABYTE)}), id="zip bomb"),
        pytest.param(_zip({f"../{index}": b"x" for index in range(2_000)}), id="zip of paths"),
        pytest.param(_zip({}), id="empty zip"),
        pytest.param(gzip.compress(mt940(Row("2026-03-02", "1.00"))), id="gzip"),
        pytest.param(gzip.compress(b"0" * (50 * MEGABYTE)), id="gzip bomb"),
        pytest.param(_tar(), id="tar"),
        pytest.param(b"BZh91AY&SY", id="bzip2"),
        pytest.param(b"\xfd7zXZ\x00", id="xz"),
        pytest.param(b"7z\xbc\xaf\x27\x1c", id="7z"),
        pytest.param(b"Rar!\x1a\x07", id="rar"),
    ],
)
def test_nothing_is_unpacked(content: bytes) -> None:
    assert code_of(content) == "archive_not_accepted"


# Bounds


def test_a_file_has_a_largest_size() -> None:
    assert code_of(b" " * (FILE_SIZE_MAX + 1)) == "too_large"
    assert code_of(b" " * FILE_SIZE_MAX) == "empty_file"
    assert code_of(b"") == "empty_file"


def test_statements_and_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENTRIES_MAX", 3)
    rows = [Row("2026-03-02", "1.00") for _ in range(4)]
    for content in (camt(*rows), mt940(*rows), ofx(*rows)):
        assert code_of(content) == "too_many_entries"
    for content in (camt(*rows[:3]), mt940(*rows[:3]), ofx(*rows[:3])):
        assert code_of(content) is None
    monkeypatch.setattr(limits, "STATEMENTS_MAX", 1)
    assert code_of(mt940() + mt940()) == "too_many_statements"


def test_accounts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked for on its own where the file is recorded. One in two currencies is two; one in many statements,
    whatever else these say of it, is one."""
    assert limits.ACCOUNTS_MAX == 100
    monkeypatch.setattr(limits, "ACCOUNTS_MAX", 2)
    with pytest.raises(StatementUnreadable) as refused:
        read(b"".join(mt940(Row("2026-03-02", "1.00"), account=f"7000{index}") for index in range(3)))
    # Each of the statements before has seven lines.
    assert (refused.value.problem.code, refused.value.problem.line) == ("too_many_accounts", 15)
    one = mt940(Row("2026-03-02", "1.00"))
    assert code_of(one + one.replace(b"EUR", b"USD") + one.replace(b"EUR", b"GBP")) == "too_many_accounts"
    assert code_of(one * 3 + one.replace(b"EUR", b"USD")) is None
    many = [f"7000{index}" for index in range(3)]
    assert code_of(together("<STMTTRNRS>", *(ofx(account=number) for number in many))) == "too_many_accounts"
    assert code_of(together("<STMTTRNRS>", *(ofx(account="70001") for _ in many))) is None
    ibans = [camt(iban=number) for number in many]
    assert code_of(together("<Stmt>", *ibans)) == "too_many_accounts"
    named = [ibans[0].replace(b"<Ccy>", b"<Nm>%d</Nm><Ccy>" % index) for index in range(3)]
    assert code_of(together("<Stmt>", *named)) is None


def together(tag: str, *files: bytes) -> bytes:
    """The elements of that name of several files in one."""
    first, *others = (content.decode() for content in files)
    end = tag.replace("<", "</")
    more = "".join(other[other.index(tag) : other.index(end) + len(end)] for other in others)
    return first.replace(end, end + more, 1).encode()


HEAD = b":20:x\n:25:DE89370400440532013000\n:60F:C260301EUR1,\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes(range(1, 256)) * 40_000, id="garbage"),
        pytest.param(b"\0" * (10 * MEGABYTE), id="nothing"),
        pytest.param(b":" * (10 * MEGABYTE), id="colons"),
        pytest.param(b":20:\n" * MEGABYTE, id="messages"),
        pytest.param(HEAD + b":61:" + b"1" * (10 * MEGABYTE), id="line"),
        pytest.param(HEAD + b":61:2603020302C1,NTRFNONREF\n:86:" + b"?20SVWZ+" * MEGABYTE, id="details"),
        pytest.param(HEAD + b":61:2603020302C1,NTRFNONREF\n" * 40_000, id="rows"),
        pytest.param(HEAD.split(b":60F")[0] + b":61:2603020302C1,NTRFNONREF\n" * 40_000, id="rows alone"),
        pytest.param(
            HEAD + (b":61:2603020302C1,NTRFNONREF\n:86:" + b"/NAME/" * 3_000 + b"\n") * 300, id="slashes"
        ),
        pytest.param(
            HEAD + (b":61:2603020302C1,NTRFNONREF\n:86:166?20" + b"EREF+" * 3_900 + b"\n") * 300,
            id="keywords",
        ),
        pytest.param(
            HEAD + (b":61:2603020302C1,NTRFNONREF\n:86:" + b" a" * 9_900 + b"\n") * 300, id="spaces"
        ),
        pytest.param(HEAD + b":61:2603020302C1,NTRF" + b"/" * 900 + b"\n" * 1_000, id="references"),
    ],
)
def test_large_and_odd_files_take_seconds(content: bytes) -> None:
    began = time.monotonic()
    code_of(content)
    assert time.monotonic() - began < SECONDS


# Anything at all


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_by_name(content: bytes) -> None:
    code_of(content)


FILES = (
    camt(Row("2026-03-02", "-1.00", reference="R1"), opening="5.00", closing="4.00"),
    mt940(Row("2026-03-02", "-1.00", "166?00GUT?20SVWZ+Rent?32Name"), opening="5.00", closing="4.00"),
    ofx(Row("2026-03-02", "-1.00"), closing="4.00"),
)


@given(st.sampled_from(FILES), st.data())
def test_a_damaged_file_is_read_or_refused_by_name(content: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(content)))
    gone = data.draw(st.integers(0, 30))
    put = data.draw(st.binary(max_size=12))
    code_of(content[:at] + put + content[at + gone :])


# The process


async def test_a_file_is_read_in_a_process_of_its_own() -> None:
    file = await ProcessReader()(mt940(Row("2026-03-02", "-1.00")))
    assert file == read(mt940(Row("2026-03-02", "-1.00")))
    with pytest.raises(StatementUnreadable) as refused:
        await ProcessReader()(b"hello")
    assert refused.value.problem.code == "not_a_statement"


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("import time; time.sleep(60)", statement_files.TOO_SLOW),
        ("while True: pass", statement_files.TOO_SLOW),
        ("raise MemoryError", statement_files.TOO_COMPLEX),
        ("import os; os.kill(os.getpid(), 9)", statement_files.TOO_COMPLEX),
    ],
)
async def test_a_process_that_does_not_end_well_is_a_refusal(does: str, code: str) -> None:
    reader = ProcessReader((sys.executable, "-c", does), seconds_max=1.0)
    with pytest.raises(StatementUnreadable) as refused:
        await reader(b":20:x")
    assert refused.value.problem.code == code


GREEDY = """
from adapters.statements import worker
worker.MEMORY_MAX = 2**29
worker.read = lambda *_: b"x" * 2**30
worker.main()
"""


async def test_a_file_that_takes_all_the_memory_ends_the_process_alone() -> None:
    with pytest.raises(StatementUnreadable) as refused:
        await ProcessReader((sys.executable, "-c", GREEDY))(b":20:x")
    assert refused.value.problem.code == statement_files.TOO_COMPLEX
