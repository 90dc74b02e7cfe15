"""`passbook serve`: the service, and its projector beside it."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Annotated

import typer

from adapters.composition import CannotListen, running
from adapters.keys.master import MasterKeyRefused
from adapters.logs import set_up_logging
from adapters.settings import Settings
from application.ports import LogError
from domain.streams import DEFAULT_TENANT
from scripts.options import Data, settings_with, stop, told_to_end

log = logging.getLogger("passbook.service")

API_KEY_SIZE_SAFE = 16


def serve(
    data: Data = None,
    port: Annotated[
        int | None,
        typer.Option(help="The port to listen on; 0 takes a free one. Default: 8080.", show_default=False),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.", show_default=False)
    ] = None,
) -> None:
    """Run the service. Without any API key, the first start makes one and prints it once."""
    settings = settings_with(data=data, port=port, host=host)
    set_up_logging(settings.log_level)
    try:
        asyncio.run(_serve(settings))
    except (CannotListen, MasterKeyRefused, LogError) as error:
        stop(str(error))
    except OSError as error:
        stop(f"cannot use {error.filename or settings.data}: {error.strerror}")


def projector_command(settings: Settings) -> list[str]:
    return [sys.executable, "-m", "scripts.projector", "--data", str(settings.data.resolve())]


async def _serve(settings: Settings) -> None:
    ended = told_to_end()
    listen = (settings.host, settings.port)
    async with running(settings, projector_command(settings), listen=listen) as (service, address):
        if settings.api_key and len(settings.api_key.get_secret_value()) < API_KEY_SIZE_SAFE:
            log.warning("PASSBOOK_API_KEY is short enough to be guessed: take at least 16 characters")
        typer.echo(f"Passbook listens on {address}, its API is described at {address}/docs")
        if not service.authenticate.anybody:
            key = service.vault.api_keys.create(DEFAULT_TENANT)
            typer.echo(f"An API key for tenant `{DEFAULT_TENANT}`, shown this once: {key}")
        sys.stdout.flush()
        await ended.wait()
