"""How a command ends: errors are printed as sentences, and each kind has its exit code."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import click

from tiger_slack_tui.base.errors import NotFound, TigerSlackError
from tiger_slack_tui.base.log_records import keeps_data_out_of_records
from tiger_slack_tui.base.stacktrace import internal_error, stacktrace
from tiger_slack_tui.cli.output import wrapped

log = logging.getLogger(__name__)

INTERNAL_ERROR = 70
"""Exit code of a bug in this program: EX_SOFTWARE of sysexits.h."""
INTERRUPTED = 130
"""Exit code after SIGINT, as shells count it: 128 + 2."""

P = ParamSpec("P")


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Make the command check its text arguments, and print its errors as sentences.

    The process ends with the error's exit code; with 2 for a wrong command line, 70 for a bug in this program, and
    130 for SIGINT, unless the command handles that signal itself.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with exit_on_interrupt():
            _check_texts(click.get_current_context())
            try:
                command(*args, **kwargs)
            except TigerSlackError as error:
                click.echo("\n".join(_error_lines(error)), err=True)
                if isinstance(error, NotFound):
                    click.echo(f"  Looked in {_database_name()}.", err=True)
                sys.exit(error.exit_code)
            except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise  # click handles these
            except Exception as error:
                _report_bug(error)
                sys.exit(INTERNAL_ERROR)

    return run


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """While the block runs, SIGINT raises KeyboardInterrupt, and that ends the process with exit code 130.

    A process that ignores SIGINT goes on ignoring it.
    """
    has_default = signal.getsignal(signal.SIGINT) is signal.SIG_DFL and _is_main_thread()
    if has_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        if has_default:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def exit_on_sigterm(message: str | None = None) -> None:
    """Make SIGTERM end the process with exit code 0, after its cleanup, until an event loop handles the signal.

    The message, if there is one, is printed then.
    """

    def end(*_: object) -> None:
        if message is not None:
            click.echo(message, err=True)
        sys.exit(0)

    if _is_main_thread():
        signal.signal(signal.SIGTERM, end)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _report_bug(error: Exception) -> None:
    """Print one line, and write the stack, which holds no data: to the log, or to stderr if there is no log."""
    if keeps_data_out_of_records():
        log.critical("an uncaught error ends the program", exc_info=error)
        stack = "The log has its stack."
    else:
        stack = f"Please report it with these lines; they hold no data.\n{stacktrace(error)}"
    click.echo(f"tiger-slack: {internal_error(error)}. {stack}", err=True)


def _error_lines(error: TigerSlackError) -> Iterator[str]:
    for text in f"tiger-slack: {error}".split("\n"):
        bare = text.lstrip(" ")
        indent = len(text) - len(bare)
        yield from wrapped(bare, indent, hang=0 if indent else 2, err=True)


def _database_name() -> str:
    from tiger_slack_tui.base import settings  # takes long to import
    from tiger_slack_tui.postgres.database import database_name

    return database_name(settings.load())


def _check_texts(context: click.Context) -> None:
    """Raise BadParameter for an argument that is empty, or holds NUL or bytes that are not UTF-8.

    An empty one comes from a shell's variable that is not set. Python reads bytes that are not UTF-8 as lone
    surrogates, and neither PostgreSQL nor JSON takes these or NUL.
    """
    for parameter in context.command.params:
        given = context.params.get(parameter.name or "")
        for text in given if isinstance(given, tuple) else (given,):
            if isinstance(text, str) and not _is_text(text):
                raise click.BadParameter("it is not written in UTF-8.", context, parameter)
            if isinstance(text, str) and not text.strip():
                raise click.BadParameter("it is empty.", context, parameter)


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
