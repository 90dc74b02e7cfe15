"""`passbook import`: a bank's statement file, looked at and then recorded, through the service that runs."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from application.statement_files import CAMT, FILE_SIZE_MAX, MT940, OFX
from scripts.options import settings_with, stop

FORMATS = (CAMT, MT940, OFX)
#: Reading the largest file and recording it, in seconds.
ANSWER_TIMEOUT = 120.0
#: A file was looked at, and it cannot be recorded.
NOT_RECORDABLE = 1

#: Amounts with all the digits that the service sent.
_exact = msgspec.json.Decoder(float_hook=Decimal)
console = Console(highlight=False)


def import_statement(
    file: Annotated[
        Path, typer.Argument(help="A CAMT.052/053/054, MT940/942 or OFX file.", show_default=False)
    ],
    consumer: Annotated[str, typer.Option(help="The id of the consumer whose accounts these are.")],
    format: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(FORMATS)}. Default: what the file looks like.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be recorded.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Record without asking.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="Where the service is. Default: PASSBOOK_PUBLIC_URL, else PASSBOOK_HOST and PASSBOOK_PORT.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="PASSBOOK_API_KEY",
            help="A key of the consumer's tenant. Better set than typed.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what a statement file would add to a consumer's accounts, and record it. The service must be running.

    Ends with 0 if it was recorded or, with --dry-run, could be; with 1 if not; with 2 if it was asked wrongly.
    """
    consumer_id = _uuid(consumer)
    if format is not None and format not in FORMATS:
        stop(f"a format is one of {', '.join(FORMATS)}", 2)
    if not api_key:
        stop("set PASSBOOK_API_KEY to a key of the consumer's tenant", 2)
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        stop("the address of the service must begin with http:// or https://", 2)
    content = _read(file)
    address = f"{(url or _address()).rstrip('/')}/v1/consumers/{consumer_id}/statements"
    try:
        asyncio.run(_import(file.name, content, address, api_key, format, dry_run=dry_run, yes=yes))
    except (aiohttp.ClientError, TimeoutError):
        stop(
            f"the service does not answer at {address}: start it with `passbook serve`, or name it with --url"
        )


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        stop("a consumer's id is a UUID", 2)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_SIZE_MAX + 1)
    except OSError as error:
        stop(f"cannot read {file}: {error.strerror}", 2)
    if len(content) > FILE_SIZE_MAX:
        stop(f"{file}: larger than {FILE_SIZE_MAX} bytes")
    return content


def _address() -> str:
    settings = settings_with()
    if settings.public_url:
        return str(settings.public_url)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


async def _import(
    name: str, content: bytes, address: str, api_key: str, format: str | None, *, dry_run: bool, yes: bool
) -> None:
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
    query = {} if format is None else {"format": format}
    async with aiohttp.ClientSession(headers={"X-API-KEY": api_key}, timeout=timeout) as session:
        seen = await _post(session, name, content, address, {**query, "preview": "true"})
        _show(seen)
        _show_remarks(name, seen["problems"], seen["notes"])
        if not seen["recordable"]:
            raise typer.Exit(NOT_RECORDABLE)
        if dry_run:
            return
        if not yes:
            if not sys.stdin.isatty():
                stop("nothing was recorded: say --yes to record it", 2)
            typer.confirm("Record this?", abort=True)
        key = {"Idempotency-Key": secrets.token_urlsafe(24)}
        recorded = await _post(session, name, content, address, query, key)
    new, changed = (sum(each[count] for each in recorded["statements"]) for count in ("new", "changed"))
    console.print(f"Recorded: {new} new rows, {changed} changed.")


async def _post(
    session: aiohttp.ClientSession,
    name: str,
    content: bytes,
    address: str,
    query: dict[str, str],
    headers: dict[str, str] | None = None,
) -> Any:
    sent = {"Content-Type": "application/octet-stream", **(headers or {})}
    async with session.post(
        address, data=content, params=query, headers=sent, allow_redirects=False
    ) as response:
        raw = await response.read()
    try:
        answer = _exact.decode(raw)
    except msgspec.DecodeError:
        stop(f"what answers at {address} is not this service")
    if not response.ok:
        _refused(name, answer)
    return answer


def _refused(name: str, answer: Any) -> NoReturn:
    problems = answer.get("details", {}).get("problems")
    if problems:
        _show_remarks(name, problems, [])
    stop(answer.get("message") or "the service refused the file")


def _show(seen: Any) -> None:
    """A few lines for each statement: twelve columns fit no terminal."""
    count = len(seen["statements"])
    console.print(f"{seen['format']}: {count} statement{'' if count == 1 else 's'}")
    for each in seen["statements"]:
        table = Table(box=None, show_header=False, pad_edge=True)
        for name, said in _said(each):
            if said:
                table.add_row(name, said)
        console.print(table, "")


def _said(each: Any) -> Iterator[tuple[str, str]]:
    account, pending = each["account"], each["pending"]
    yield "account", f"…{account['number']} {each['currency'] or ''}" if account else "not named"
    yield "goes to", _goes_to(account)
    yield "period", f"{each['from']} to {each['to']}" if each["from"] else ""
    yield "opening", _amount(each["opening"])
    yield "entries", f"{each['entries']}" + (f", {pending} of them pending" if pending else "")
    yield "sum", str(each["booked_sum"])
    yield "closing", _amount(each["closing"])
    yield "adds up", {True: "yes", False: "no", None: ""}[each["reconciles"]]
    if each["new"] is not None:
        yield "rows", f"{each['new']} new, {each['changed']} changed, {each['known']} known"


def _goes_to(account: Any) -> str:
    if account is None or account["account_id"] is None:
        return ""
    if account["is_new"]:
        return "a new account"
    return f"{account['account_id']} (by its {account['evidence']})"


def _amount(balance: Any) -> str:
    return "" if balance is None else f"{balance['amount']} {balance['currency']}"


def _show_remarks(name: str, problems: list[Any], notes: list[Any]) -> None:
    for what, remarks in (("error", problems), ("note", notes)):
        for remark in remarks:
            place = ":".join(
                str(part) for part in (name, remark["line"], remark["column"]) if part is not None
            )
            typer.echo(f"{place}: {what}: {remark['code']}", err=what == "error")
