"""Proof that the tests can fail: each bug of `BUGS` is put into a copy of the project, and a named test must turn red.

    python -m scripts.planted_bugs [--only NAME] [--list]

A bug is a replacement of text that stands once in a file, so that it cannot be applied to something else by
mistake: code that has changed since must be matched anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "*.egg-info", ".pytest_cache", ".hypothesis"
)
SECONDS_MAX = 600
#: What pytest says where tests ran, and some failed: anything else is no proof.
FAILED = 1


class Bug(msgspec.Struct, frozen=True):
    name: str
    file: str
    text: str
    """What stands there, once."""
    instead: str
    test: str
    """The test that must turn red, as pytest names it."""


BUGS: tuple[Bug, ...] = (
    Bug(
        "the cursor is saved before its page",
        "application/fetching.py",
        "fetched.watermark = max(fetched.watermark or row.touched_at, row.touched_at)",
        "fetched.watermark = now",
        "tests/application/test_synchronise.py::test_the_watermark_does_not_go_back_and_is_the_newest_of_all_accounts",
    ),
    Bug(
        "rows are told apart by amount and date",
        "domain/consumer_account.py",
        "shown = {transaction.reference: transaction for transaction in transactions}",
        "shown = {str((t.amount, t.booked_on)): t for t in transactions}",
        "tests/domain/test_rows.py::test_twins_of_one_day_stay_two",
    ),
    Bug(
        "deletions are ignored",
        "domain/consumer_account.py",
        "                removed.append((id, reference))",
        "                pass",
        "tests/domain/test_rows.py::test_an_edit_a_removal_and_a_return_keep_the_id",
    ),
    Bug(
        "the fence of a refresh is removed",
        "domain/data_connection.py",
        "connection.status == CONNECTED and connection.runs == runs",
        "connection.status == CONNECTED",
        "tests/application/test_refreshes.py::test_a_refresh_that_another_process_overtook_leaves_nothing",
    ),
    Bug(
        "now() in a projection",
        "projections/cashflow.py",
        "answers.encode(answer(accounts, rows, observed.recorded_at))",
        "answers.encode(answer(accounts, rows, __import__('time').perf_counter_ns() % 10**9 * 10**6))",
        "tests/projections/test_rebuilt_equals_live.py::test_the_size_of_a_batch_changes_nothing",
    ),
    Bug(
        "the overlap is removed",
        "application/fetching.py",
        "updated_since=connection.watermark - OVERLAP",
        "updated_since=connection.watermark",
        "tests/application/test_synchronise.py::"
        "test_an_increment_asks_for_what_was_touched_since_the_watermark_with_overlap",
    ),
    Bug(
        "absence removes a pending row outside of any window",
        "domain/consumer_account.py",
        "    if window is None or window.as_of is None or row.reference in shown:",
        "    if window is None:\n        return row.reference not in shown\n"
        "    if window.as_of is None or row.reference in shown:",
        "tests/domain/test_rows.py::"
        "test_absence_means_something_only_in_a_window_that_holds_the_day_and_is_newer",
    ),
    Bug(
        "a pending row is paired before it has vanished",
        "domain/consumer_account.py",
        "row.reference in taken_back or _is_absent(row, shown, window)]",
        "True]",
        "tests/domain/test_rows.py::test_nothing_is_paired_while_the_pending_row_is_shown",
    ),
    Bug(
        "all sources of an account are shown at once",
        "projections/merging.py",
        "        if first is not None and (until is None or first < until):",
        "        if False:",
        "tests/projections/test_merging.py::"
        "test_from_the_first_day_of_the_source_that_was_linked_last_it_alone_is_shown",
    ),
    Bug(
        "asks are not noted",
        "application/fetching.py",
        "    await asks.note_ask(run.stream, now)\n",
        "",
        "tests/application/test_asking.py::"
        "test_a_bank_is_asked_so_often_while_nobody_is_there_and_read_all_the_same",
    ),
    Bug(
        "the checkpoint moves although another worker moved it",
        "adapters/read_models/sqlite.py",
        "        if moved.rowcount != 1:",
        "        if False:",
        "tests/read_models/test_rows_contract.py::test_a_checkpoint_that_is_elsewhere_writes_nothing",
    ),
    Bug(
        "a repeated command is carried out again",
        "application/execute.py",
        "    return Outcome(stored.subject, stored.version, stored.last_position, repeated=True)",
        "    return None",
        "tests/application/test_execute.py::test_one_key_is_one_command_in_this_life_and_the_next",
    ),
    Bug(
        "a seal does not name its place",
        "adapters/event_log/layout.py",
        "            _len4(len(stream_bytes)),\n            stream_bytes,\n            _version8(version),\n"
        "            _len4(len(name_bytes)),\n            name_bytes,\n            _len4(len(head)),\n            head,\n        )",
        "            _len4(len(head)),\n            head,\n        )",
        "tests/event_log/test_mapper.py::test_a_body_opens_only_in_its_place",
    ),
    Bug(
        "redirects are followed",
        "adapters/budget_insight/transport.py",
        "            allow_redirects=False,",
        "            allow_redirects=True,",
        "tests/budget_insight/test_gateway_failures.py::test_a_redirect_is_not_followed",
    ),
    Bug(
        "a domain is checked at its beginning alone",
        "domain/provider.py",
        "not pattern.fullmatch(credentials[field])",
        "not pattern.match(credentials[field])",
        "tests/domain/test_provider.py::test_a_domain_is_never_a_place_of_somebodys_choosing",
    ),
    Bug(
        "the age of a push is not checked",
        "adapters/budget_insight/webhooks.py",
        "    if age > AGE_MAX:",
        "    if False:",
        "tests/budget_insight/test_webhooks.py::test_ages",
    ),
    Bug(
        "a list that ends early is the whole",
        "adapters/budget_insight/client.py",
        "                if total is not None and len(ids) < total:",
        "                if False:",
        "tests/budget_insight/test_gateway_failures.py::test_a_list_that_ends_early_is_no_list",
    ),
    Bug(
        "the tenant is left out of a query",
        "adapters/read_models/queries.py",
        '"SELECT * FROM consumers WHERE tenant = ? AND id = ?", tenant, consumer',
        '"SELECT * FROM consumers WHERE id = ?", consumer',
        "tests/read_models/test_queries.py::test_an_id_of_another_tenant_leads_to_nothing",
    ),
)


class Unfit(Exception):
    """The bug cannot be applied: the code has changed since it was written."""


def apply(bug: Bug, root: Path) -> None:
    """Put a bug into a copy of the project.

    Raises:
        Unfit: its text does not stand there exactly once.
    """
    path = root / bug.file
    found = path.read_text().count(bug.text)
    if found != 1:
        raise Unfit(f"{bug.name}: its text stands {found} times in {bug.file}")
    path.write_text(path.read_text().replace(bug.text, bug.instead))


def _run(tests: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    # The data that tests read lies beside the project, not beside its copy.
    environment.setdefault("PASSBOOK_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", *tests]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX
    )


def _copied(folder: str) -> Path:
    copy = Path(folder) / "copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    return copy


def is_noticed(bug: Bug) -> bool:
    """Whether the named test turns red in a copy with the bug.

    Raises:
        Unfit: the bug cannot be applied, or the test cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = _copied(folder)
        apply(bug, copy)
        ran = _run([bug.test], copy)
    if ran.returncode not in (0, FAILED):
        raise Unfit(f"{bug.name}: {bug.test} does not run\n{ran.stdout[-2_000:]}")
    return ran.returncode == FAILED


def main(
    only: Annotated[str, typer.Option(help="The name of one bug.")] = "",
    list_them: Annotated[bool, typer.Option("--list", help="Print the bugs, and do nothing.")] = False,
) -> None:
    """Plant each bug in a copy, and see its test turn red."""
    bugs = [bug for bug in BUGS if not only or bug.name == only]
    if not bugs:
        raise typer.BadParameter(f"there is no bug called {only}")
    if list_them:
        for bug in bugs:
            typer.echo(f"{bug.name}: {bug.file} -> {bug.test}")
        return
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        sound = _run(sorted({bug.test for bug in bugs}), _copied(folder))
    if sound.returncode != 0:
        typer.echo(sound.stdout[-2_000:], err=True)
        typer.echo("without any bug the tests are red already", err=True)
        raise typer.Exit(1)
    unnoticed = []
    for number, bug in enumerate(bugs, start=1):
        try:
            red = is_noticed(bug)
        except Unfit as unfit:
            red = False
            typer.echo(str(unfit), err=True)
        typer.echo(f"{number:2}/{len(bugs)} {'red' if red else 'NOT NOTICED'}  {bug.name}  ({bug.test})")
        if not red:
            unnoticed.append(bug.name)
    typer.echo(f"{len(bugs) - len(unnoticed)} of {len(bugs)} planted bugs were noticed")
    if unnoticed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
