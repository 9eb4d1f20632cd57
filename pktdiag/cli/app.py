"""The command table as a Typer application: help, completion, and every command line the fast lane passes on."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from pktdiag.cli.options import COMMANDS, FLAG, INT, TOGGLE, Command, Option
from pktdiag.cli.start import execute


def build() -> typer.Typer:
    """The application. Plain help: rich would cost 60 ms of start-up and swallow the brackets of ``[SRC] DST``."""
    app = typer.Typer(name="pktdiag", help=HELP, add_completion=True, rich_markup_mode=None,
                      pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})
    app.callback()(_root())
    for command in COMMANDS:
        app.command(command.name, help=command.help, epilog=command.more or None)(_function(command))
    return app


HELP = "Where does this packet go on this Linux host, and if it is dropped, why? Reads the running kernel, changes nothing, sends nothing."


def _root() -> Any:
    """What stands before a command: ``--version``."""
    def show(wanted: bool) -> None:
        if wanted:
            from pktdiag import __version__
            typer.echo(f"pktdiag {__version__}")
            raise typer.Exit()

    def call(version: bool) -> None:
        pass

    option = typer.Option("--version", help="Print the version.", callback=show, is_eager=True)
    return _signed(call, [inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])])


def _function(command: Command) -> Any:
    """A function whose signature says what the table says."""
    def call(**values: Any) -> None:
        if "words" in values:
            values["words"] = list(values["words"] or ())
        raise typer.Exit(execute(command, values))

    parameters = [_parameter(option) for option in command.options]
    if command.words:
        words = Annotated[list[str] | None, typer.Argument(metavar=command.words, hidden=True)]
        parameters.insert(0, inspect.Parameter("words", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=words))
    return _signed(call, parameters)


def _signed(call: Any, parameters: list[inspect.Parameter]) -> Any:
    """The function with this signature, which is all that Typer looks at. The image has neither the annotations of functions nor,
    before their first call, the parameters of those that stand in no other."""
    call.__signature__ = inspect.Signature(parameters)
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _parameter(option: Option) -> inspect.Parameter:
    flag = "--" + option.name
    kind: Any
    if option.kind == TOGGLE:
        kind = Annotated[bool | None, typer.Option(f"{flag}/--no-{option.name}", help=option.help, show_default=False)]
    elif option.kind == FLAG:
        kind = Annotated[bool, typer.Option(flag, help=option.help, show_default=False)]
    else:
        of: Any = int if option.kind == INT else str
        kind = Annotated[of | None if option.default is None else of,
                         typer.Option(flag, help=option.help, metavar=option.metavar, show_default=option.default is not None)]
    return inspect.Parameter(option.dest, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=kind)
