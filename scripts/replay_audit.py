"""`passbook replay-audit`: does the log tell one whole story, and do the read models say the same?"""

from __future__ import annotations

import typer

from adapters.event_log.check import check_log
from adapters.keys.master import MasterKeyRefused
from adapters.read_models.generations import RebuildRunning, audit
from adapters.storage import READ_MODELS_FOLDER, open_source
from application.ports import LogError
from projections.catch_up import Stopped
from scripts.options import Data, settings_with, stop
from scripts.progress import bar


def replay_audit(data: Data = None) -> None:
    """Read the whole log, check it, fold it anew, and compare with the live read models.

    Checks every position, every stream's versions, every seal and every leaf. Exits with 1 if anything is found.
    """
    settings = settings_with(data=data)
    try:
        source = open_source(settings)
        with bar("checking the log") as shown:
            head = source.head()
            checked = check_log(source, progress=lambda position: shown.at(position, head))
            for finding in checked.findings:
                typer.echo(str(finding))
            typer.echo(
                f"Read {checked.facts} facts of {checked.streams} streams, {checked.erased} of them erased:"
                f" {len(checked.findings) or 'no'} findings."
            )
            if checked.findings:
                # What is damaged cannot be folded to anything that would mean something.
                stop("the log is not what was appended")
            shown.begin("folding it anew")
            comparison = audit(source, settings.data / READ_MODELS_FOLDER, shown.at)
    except RebuildRunning:
        stop("a rebuild or another audit is at work on this data")
    except (MasterKeyRefused, LogError, Stopped) as error:
        stop(str(error))
    except OSError as error:
        stop(
            f"cannot use {error.filename or settings.data}: {error.strerror}; it works on a copy that it may write to"
        )
    if comparison is None:
        stop("there is no live generation to compare with: start the service, or `passbook rebuild`")
    typer.echo(
        f"At position {comparison.position} the live read models have the digest {comparison.first.whole},"
    )
    typer.echo(f"the log folded anew has                              {comparison.second.whole}.")
    if not comparison.is_equal:
        stop(f"they differ, first in {comparison.difference}")
    typer.echo("They are equal.")
