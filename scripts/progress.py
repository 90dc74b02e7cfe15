"""A progress bar for long work: how far, how fast, how long still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """What is counted, and bank transactions where they are counted too, per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        if not task.speed or not task.elapsed:
            return Text("")
        transactions = task.fields.get("transactions", 0)
        more = f", {transactions / task.elapsed:,.0f} transactions/s" if transactions else ""
        return Text(f"{task.speed:,.{0 if task.speed >= 10 else 1}f} {self._unit}/s{more}")


class Bar:
    """Where the reading of the log stands."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def at(self, position: int, head: int, transactions: int = 0) -> None:
        self._progress.update(self._task, completed=position, total=head, transactions=transactions)

    def begin(self, what: str) -> None:
        """Start again for the next piece of work."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=None)


@contextmanager
def bar(what: str, unit: str = "facts") -> Iterator[Bar]:
    """Show a bar on standard error while the block runs. `unit` is what it counts, in the plural."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        shown = Bar(progress)
        shown.begin(what)
        yield shown
