"""`passbook api-keys`: keys that open the doors."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.durable_file import CannotOpen
from adapters.keys.master import MasterKeyRefused
from adapters.storage import open_vault
from application.ports import LogError
from domain.streams import DEFAULT_TENANT, TENANT
from scripts.options import Data, settings_with, stop

app = typer.Typer(help="Keys that open the doors.", no_args_is_help=True)


@app.callback()
def api_keys() -> None:
    """Keys that open the doors."""


@app.command("create")
def create(
    tenant: Annotated[
        str, typer.Option(help="Whose key it is: lower-case letters, digits and hyphens.")
    ] = DEFAULT_TENANT,
    data: Data = None,
) -> None:
    """Make an API key and print it: it is shown this once. The service must not be running."""
    if not TENANT.fullmatch(tenant):
        stop("a tenant is 1 to 40 lower-case letters, digits and hyphens, with no hyphen at either end", 2)
    try:
        vault = open_vault(settings_with(data=data))
    except CannotOpen as error:
        stop(
            f"{error}. While the service runs, call POST /v1/api-keys with a key of the tenant;"
            " to make the first key of another tenant, stop the service."
        )
    except (MasterKeyRefused, LogError) as error:
        stop(str(error))
    try:
        typer.echo(vault.api_keys.create(tenant))
    finally:
        vault.close()
