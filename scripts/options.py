"""What commands have in common: options, how one says that it cannot go on, and how it is told to end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from adapters.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The folder that holds the log, the keys and the read models. Default: PASSBOOK_DATA, else ./data.",
        show_default=False,
    ),
]


def settings_with(**given: Any) -> Settings:
    """The environment's settings, with the options that were given in their place."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_context=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"])
            typer.echo(f"passbook: PASSBOOK_{name.upper()}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None


def told_to_end() -> asyncio.Event:
    """Set once the process is told to end, by Ctrl-C or by SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def stop(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong in one line, and end."""
    typer.echo(f"passbook: {message}", err=True)
    raise typer.Exit(code)
