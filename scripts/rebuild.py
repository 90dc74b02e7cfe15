"""`passbook rebuild`: the read models, made anew from the log beside a running service."""

from __future__ import annotations

import time

import typer

from adapters.keys.master import MasterKeyRefused
from adapters.read_models.generations import RebuildRunning
from adapters.read_models.generations import rebuild as rebuild_generation
from adapters.storage import READ_MODELS_FOLDER, open_source
from application.ports import LogError
from projections.catch_up import Stopped
from scripts.options import Data, settings_with, stop
from scripts.progress import bar


def rebuild(data: Data = None) -> None:
    """Build a new generation of all read models from the log, and switch to it. The service may be running.

    The generation before it is kept, and compared: a difference is a finding, and exits with 1.
    """
    settings = settings_with(data=data)
    try:
        source = open_source(settings)
        started = time.monotonic()
        with bar("rebuilding") as shown:
            rebuilt = rebuild_generation(source, settings.data / READ_MODELS_FOLDER, shown.at)
    except RebuildRunning:
        stop("another rebuild or audit is at work on this data")
    except (MasterKeyRefused, LogError, Stopped) as error:
        stop(str(error))
    except OSError as error:
        stop(f"cannot use {error.filename or settings.data}: {error.strerror}")
    took = time.monotonic() - started
    typer.echo(f"Generation {rebuilt.number} is live, at position {rebuilt.position}, after {took:.1f} s.")
    if rebuilt.comparison is None:
        typer.echo("There was no generation before it to compare with.")
    elif rebuilt.comparison.is_equal:
        typer.echo(f"It equals the one before: {rebuilt.comparison.second.whole}")
    else:
        stop(f"it differs from the one before, first in {rebuilt.comparison.difference}")
