"""The verbs put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from harmbench import __version__
from harmbench.cli import cache, check, compare, data, doctor, info, interpret, leaderboard, listing, new, run, submit

VERBS = (
    "run",
    "list",
    "info",
    "check",
    "new",
    "doctor",
    "data",
    "leaderboard",
    "compare",
    "interpret",
    "submit",
    "cache",
)


class _Verbs(typer.core.TyperGroup):
    """The verbs. typer would turn Ctrl-C into an exit code and say nothing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("harmbench: interrupted.", err=True)
            raise typer.Exit(130) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harmbench {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (may stand anywhere).")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A plugin that fails to load is an error (may stand anywhere).")
    ] = False,
) -> None:
    """Which harmonization method makes radiomic features comparable across manufacturers without losing the disease?

    Start with: harmbench run --method ssl-kernel
    """


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application; plugins may add verbs, and are asked for them only when it matters."""
    app = typer.Typer(
        name="harmbench",
        cls=_Verbs,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("run")(run.run)
    app.command("list")(listing.list_)
    app.command("info")(info.info)
    app.command("check")(check.check)
    app.command("new")(new.new)
    app.command("doctor")(doctor.doctor)
    app.add_typer(data.app, name="data")
    app.add_typer(leaderboard.app, name="leaderboard")
    app.command("compare")(compare.compare)
    app.command("interpret")(interpret.interpret)
    app.command("submit")(submit.submit)
    app.add_typer(cache.app, name="cache")
    verb = next((a for a in arguments if not a.startswith("-")), None)
    if verb not in VERBS:
        from harmbench.plugins import load_plugins

        for _ in load_plugins().call("register_commands", app=app):
            pass
    return app
