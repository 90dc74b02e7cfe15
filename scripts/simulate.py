"""`passbook simulate`: a bank to develop against, with people who do not exist."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from adapters.budget_insight.simulator import (
    PASSWORD,
    SimulatorOptions,
    UnknownDataSet,
    WebhookOptions,
    logins,
    serve,
)
from scripts.options import stop, told_to_end


def simulate(
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 8090,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    data_set: Annotated[
        Path | None,
        typer.Option(
            "--data-set", metavar="DIR", exists=True, file_okay=False,
            help="Serve the accounts of this data set too: the folder of the Berka bank, of Cozy's operations, or of persona files.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed and same calls: same ids, rows and tokens.")] = 0,
    webhooks_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Push what happens to URL/EVENT, signed.", show_default=False),
    ] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="The secret to sign pushes with.", show_default=False),
    ] = None,
    list_logins: Annotated[bool, typer.Option("--list", help="List who can log in, and end.")] = False,
) -> None:  # fmt: skip
    """Run a simulated bank that speaks the Budget Insight 2.0 API, with its web page to log in."""
    if (webhooks_to is None) != (webhook_secret is None):
        stop("--webhooks-to and --webhook-secret go together")
    webhooks = None
    if webhooks_to is not None and webhook_secret is not None:
        webhooks = WebhookOptions(to=webhooks_to.rstrip("/"), secret=webhook_secret)
    options = SimulatorOptions(seed=seed, data_set=data_set, webhooks=webhooks)
    try:
        if list_logins:
            for login in logins(options):
                typer.echo(f"{login.name:<24} {login.shows}")
        else:
            asyncio.run(_serve(options, host, port))
    except UnknownDataSet as error:
        stop(str(error))


async def _serve(options: SimulatorOptions, host: str, port: int) -> None:
    ended = told_to_end()
    try:
        runner, address = await serve(options, host, port)
    except OSError as error:
        stop(f"cannot listen on {host}:{port}: {error.strerror or error}")
    typer.echo(f"The simulated bank listens on {address}")
    typer.echo(f"Log in as one of `passbook simulate --list`, with the password {PASSWORD}")
    await ended.wait()
    await runner.cleanup()
