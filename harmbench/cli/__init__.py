"""The command line: one module per verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence

from harmbench.errors import HarmbenchError, UsageError

EXIT_OK, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_NOTHING_RAN, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `harmbench` command."""
    sys.exit(run_command(list(sys.argv[1:] if arguments is None else arguments)))


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code.

    0 all well, 1 wrong usage, 2 some cells failed (results are written), 3 nothing ran, 130 interrupted. An error
    of a plugin's verb may have a code of its own, as attribute `exit_code`.
    Errors are one or a few lines on stderr; `--debug` adds the traceback.
    """
    import os

    # A warning is a line for the user, not a line of our source.
    warnings.formatwarning = lambda message, *_args, **_more: f"harmbench: {message}\n"
    debug = "--debug" in arguments
    strict = "--strict" in arguments
    arguments = [a for a in arguments if a not in ("--debug", "--strict")]
    as_json = "--json" in arguments
    from harmbench.cli.app import build_app

    before = os.environ.get("HARMBENCH_STRICT")
    if strict:
        os.environ["HARMBENCH_STRICT"] = "1"  # workers see it, too
    try:
        result = build_app(arguments)(args=arguments, prog_name="harmbench", standalone_mode=False)
        return result if isinstance(result, int) else EXIT_OK
    except HarmbenchError as error:
        if debug:
            raise
        code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_NOTHING_RAN
        return _say(error, getattr(error, "exit_code", code), as_json)
    except KeyboardInterrupt:
        print("harmbench: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # what typer raises for a wrong command line
            if as_json and hasattr(error, "format_message"):
                _json_error("UsageError", error.format_message(), EXIT_USAGE)
            error.show()
            return EXIT_USAGE
        if hasattr(error, "exit_code"):  # typer.Exit
            return int(error.exit_code)
        if debug:
            raise
        problem = HarmbenchError(
            f"{type(error).__name__}: {error} (This is a fault of harmbench or of a plugin; --debug shows where.)"
        )
        return _say(problem, EXIT_NOTHING_RAN, as_json)
    finally:
        if strict and before is None:
            del os.environ["HARMBENCH_STRICT"]
        elif strict:
            os.environ["HARMBENCH_STRICT"] = before or ""


def _say(error: HarmbenchError, code: int, as_json: bool) -> int:
    if as_json:
        _json_error(type(error).__name__, str(error), code)
    print(f"harmbench: {error}", file=sys.stderr)
    return code


def _json_error(kind: str, message: str, code: int) -> None:
    print(json.dumps({"error": {"type": kind, "message": message}, "exit_code": code}))
