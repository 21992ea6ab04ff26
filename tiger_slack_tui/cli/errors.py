"""What every command does first and last: it checks its arguments, and shows errors as sentences."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.log_records import keeps_data_out_of_records
from tiger_slack_tui.base.stacktrace import internal_error, stacktrace

log = logging.getLogger(__name__)

INTERNAL_ERROR = 70
"""Exit code of a bug: EX_SOFTWARE of sysexits.h."""

P = ParamSpec("P")


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Refuse arguments that are no text; show our errors as sentences, and end with their exit code.

    Exit code 2 is for a command line that makes no sense, 70 for an error of the program itself, 130 for SIGINT where
    the command has no other rule.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL and _is_main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _check_texts(click.get_current_context())
        try:
            command(*args, **kwargs)
        except TigerSlackError as error:
            click.echo(f"tiger-slack: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends the program by these
        except Exception as error:
            _tell_of_bug(error)
            sys.exit(INTERNAL_ERROR)

    return run


def end_on_sigterm() -> None:
    """Let SIGTERM end the process with exit code 0, after it cleaned up; until an event loop handles the signal."""
    if _is_main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _tell_of_bug(error: Exception) -> None:
    """Print one line, and the stack without data; where the program has a log, the stack goes there."""
    if keeps_data_out_of_records():
        log.critical("an uncaught error ends the program", exc_info=error)
        stack = "The log has its stack."
    else:
        stack = f"Please report it with these lines; they hold no data.\n{stacktrace(error)}"
    click.echo(f"tiger-slack: {internal_error(error)}. {stack}", err=True)


def _check_texts(context: click.Context) -> None:
    """Raise BadParameter where an argument holds NUL, or bytes that are not UTF-8.

    Python keeps such bytes of the command line as lone surrogates. Nothing takes them: neither PostgreSQL nor JSON.
    """
    for parameter in context.command.params:
        given = context.params.get(parameter.name or "")
        for text in given if isinstance(given, tuple) else (given,):
            if isinstance(text, str) and not _is_text(text):
                raise click.BadParameter("it is not written in UTF-8.", context, parameter)


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
