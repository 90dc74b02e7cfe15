"""`passbook`: the one command line."""

from __future__ import annotations

import typer

from scripts import (
    api_keys,
    demo,
    import_statement,
    rebuild,
    replay_audit,
    serve,
    simulate,
    simulate_histories,
)


def build() -> typer.Typer:
    app = typer.Typer(
        name="passbook",
        help="An event-sourced open-banking data and insights service.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("serve")(serve.serve)
    app.command("simulate")(simulate.simulate)
    app.command("simulate-histories")(simulate_histories.simulate_histories)
    app.command("demo")(demo.demo)
    app.command("import")(import_statement.import_statement)
    app.command("rebuild")(rebuild.rebuild)
    app.command("replay-audit")(replay_audit.replay_audit)
    app.add_typer(api_keys.app, name="api-keys")
    return app


def main() -> None:
    build()()


if __name__ == "__main__":
    main()
