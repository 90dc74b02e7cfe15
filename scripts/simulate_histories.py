"""`passbook simulate-histories`: the service in virtual time, against a bank that lies and a machine that dies."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from scripts.histories import campaign
from scripts.histories.campaign import COMPLETE_FROM, Campaign
from scripts.histories.lies import KINDS as LIES
from scripts.histories.machine import KINDS as FAULTS
from scripts.histories.machine import POINTS
from scripts.histories.run import Told
from scripts.progress import bar


def simulate_histories(
    seeds: Annotated[int, typer.Option(min=1, help="How many histories: one for each seed.")] = 100,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    jobs: Annotated[
        int, typer.Option(min=0, help="In how many processes; 0: one for each core.", show_default=False)
    ] = 0,
    over_http: Annotated[
        bool,
        typer.Option(
            "--over-http", help="Put the bank behind a real socket: slower, and no seed is told twice."
        ),
    ] = False,
) -> None:
    """Tell histories of the service - requests, syncs, crashes, lies - and look whether a law is broken.

    A seed tells one history, always the same. From 100 histories on every kind of fault and every point to die at
    must have been tried.
    """
    began = time.monotonic()
    with bar("histories", "histories") as shown:
        told = campaign.run(
            range(first, first + seeds),
            jobs=jobs,
            over_http=over_http,
            progress=shown.at,
            broke=lambda one: typer.echo(_broken(one, over_http)),
        )
    _summary(told, time.monotonic() - began)
    raise typer.Exit(int(told.failed))


def _broken(told: Told, over_http: bool) -> str:
    lines = [f"Seed {told.seed} broke {told.broken}", *(f"  {line}" for line in told.trace)]
    again = f"passbook simulate-histories --seeds 1 --first {told.seed}{' --over-http' if over_http else ''}"
    return "\n".join([*lines, f"Again: {again}", ""])


def _summary(told: Campaign, seconds: float) -> None:
    typer.echo(
        f"{told.histories:,} histories in {seconds:,.1f} s ({told.histories / seconds:.1f} a second): "
        f"{told.days:,.0f} days, {told.facts:,} facts, {len(told.broken)} violations."
    )
    _counts("Faults of the bank and of the way to it", told.tried, LIES.items())
    _counts("Faults of ours", told.tried, FAULTS.items())
    _counts("Where the process was killed", told.died, ((point, "") for point in POINTS))
    if told.histories >= COMPLETE_FROM and (never := told.never_tried()):
        typer.echo(f"Never tried: {', '.join(never)}")
    for one in told.broken:
        typer.echo(f"Seed {one.seed}: {one.broken}")


def _counts(title: str, counts: Mapping[str, int], names: Iterable[tuple[str, str]]) -> None:
    typer.echo(f"{title}:")
    for name, means in names:
        typer.echo(f"  {counts.get(name, 0):>9,}  {name}{'  ' if means else ''}{means}")
