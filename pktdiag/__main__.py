"""Entry point: the fast lane first, Typer for whatever it does not take."""

import gc
import posix
import sys


def main() -> None:
    """Runs the command line of this process and ends it with its status (see ``cli.errors``)."""
    gc.disable()  # a run lives for milliseconds and drops everything at once; collecting in between only costs
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (>&-), who wants the exit status alone
            setattr(sys, name, open("/dev/null", "w"))  # noqa: SIM115  # for the rest of the process
    image = None
    try:
        from pktdiag.image import install
        image = install()
        if len(sys.argv) > 1:
            image.run_track(sys.argv[1])
        status = run()
    except KeyboardInterrupt:
        status = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass  # whoever read us is gone; ``cli.start`` has said so in its status
    if image is not None:
        image.learn(status)
    posix._exit(status)  # taking a hundred modules apart would take longer than the walk


def run() -> int:
    """Runs the command line of this process; its exit status."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # a name from the host may not fit the terminal's encoding
    argv = sys.argv[1:]
    from pktdiag.cli.fastlane import parse
    parsed = None if _completing() else parse(argv)
    if parsed is not None:
        from pktdiag.cli.start import execute
        status = execute(*parsed)
    else:
        status = _with_typer(argv)
    return status


def _completing() -> bool:
    """Whether the shell asks for completions (the variable Typer's completion scripts set)."""
    return b"_PKTDIAG_COMPLETE" in posix.environ


def _with_typer(argv: list[str]) -> int:
    """Typer's reading of the command line; its complaints become one line like every other error."""
    from pktdiag.cli.app import build
    try:
        status = build()(argv or ["--help"], prog_name="pktdiag", standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except SystemExit as leaving:  # completion ends the process itself
        return leaving.code if isinstance(leaving.code, int) else 0
    except OSError as error:  # --help into a full disk or a closed pipe
        from pktdiag.cli.start import unwritable
        return unwritable(error)
    except Exception as error:
        # Click's exceptions, by shape: Typer brings its own copy of Click since 0.26, so there is no one class to name.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        from pktdiag.cli.errors import CliError
        from pktdiag.cli.start import complain
        context = getattr(error, "ctx", None)
        path = getattr(context, "command_path", None) or "pktdiag"
        return complain(CliError("usage", message().rstrip("."), "", f"see `{path} --help`").line())
    if not argv:
        return 2  # nothing was asked; 0 would say that some packet gets through
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
