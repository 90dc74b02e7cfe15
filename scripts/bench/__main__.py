"""`python -m scripts.bench`: all benchmarks in one run, and the table of their ratios."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

from scripts.bench import append, categorise, growth, http, measure, rebuild
from scripts.bench.table import NoMarkers, table, write
from scripts.options import stop

BENCHMARKS: dict[str, ModuleType] = {
    module.NAME: module for module in (append, rebuild, http, growth, categorise)
}
ROUNDS = 5
ROUNDS_QUICK = 2
ROUNDS_MAX = 50
#: No round is begun that would end later than this. Making the data comes before it.
SECONDS_MAX = 180.0

progress = Console(stderr=True, highlight=False)


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="Run this one; may be given more than once.", show_default=False
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, max=ROUNDS_MAX, help=f"Rounds that count. Default: {ROUNDS}.", show_default=False
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Small data and few rounds: to see that it runs, not to be quoted."),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Name the benchmarks, and end.")] = False,
    renew: Annotated[
        bool, typer.Option("--write", help="Put the table into docs/benchmarks.md, too.")
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Where the scratch folder is made; its disk is measured. Default: the system's.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure the service against limits, all in one run, and print the ratios as a table.

    Each case runs once per round, after one round that is discarded. A ratio is made within a round; the
    median, the least and the largest are shown.
    """
    if listed:
        for name, module in BENCHMARKS.items():
            typer.echo(f"{name:<10}{module.SUMMARY}")
        return
    unknown = set(only or ()) - set(BENCHMARKS)
    if unknown:
        stop(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}", 2)
    if renew and (only or quick):
        stop("only a whole run goes into the page: leave --only and --quick away", 2)
    # So that everything that was started is stopped, and the scratch folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        text = _run(only or list(BENCHMARKS), rounds or (ROUNDS_QUICK if quick else ROUNDS), quick, scratch)
    except http.ServerFailed as error:
        stop(str(error))
    typer.echo(text)
    if renew:
        try:
            write(text)
        except NoMarkers as error:
            stop(str(error))


def _run(names: list[str], rounds: int, quick: bool, parent: Path | None) -> str:
    load, *_ = os.getloadavg()
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="passbook-bench-", dir=parent, ignore_cleanup_errors=True)
        scratch = Path(stack.enter_context(folder))
        status = stack.enter_context(progress.status(""))

        def step(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(what)

        prepared = []
        for name, module in BENCHMARKS.items():
            if name in names:
                step(f"preparing: {name}")
                prepared.append(module.prepare(stack, scratch, quick=quick))
        run = measure.run(prepared, rounds=rounds, seconds_max=SECONDS_MAX, step=step)
        if run.rounds < rounds:
            progress.print(f"the time was up after {run.rounds} of {rounds} rounds")
        return table(run, _command(names, rounds, quick), scratch, load)


def _command(names: list[str], rounds: int, quick: bool) -> str:
    only = [] if len(names) == len(BENCHMARKS) else [f"--only {name}" for name in names]
    counted = [] if rounds == (ROUNDS_QUICK if quick else ROUNDS) else [f"--rounds {rounds}"]
    return " ".join(["python -m scripts.bench", *only, *counted, *(["--quick"] if quick else [])])


def main() -> None:
    typer.run(bench)


if __name__ == "__main__":
    main()
