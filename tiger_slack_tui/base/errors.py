"""The errors that an operator sees, one class for each kind of failure."""


class TigerSlackError(Exception):
    """Base class. An operator sees the message, which says what happened, and never a traceback.

    `hint` says what to do about it. Neither may contain a token, a password or the text of a message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


class SettingsError(TigerSlackError):
    """The settings or arguments cannot be used. The message lists all problems."""

    exit_code = 2


class NotFound(TigerSlackError):
    """The database does not hold what was asked for. A command adds which database it asked."""


class NoTerminalError(TigerSlackError):
    """The console needs a terminal and has none."""

    exit_code = 2


class EmbeddedPostgresError(TigerSlackError):
    """The embedded PostgreSQL could not be found, started or reached."""


class NoData(EmbeddedPostgresError):
    """The embedded PostgreSQL has no data yet, and the command works only with data that exists."""


class DatabaseUnavailable(TigerSlackError):
    """The database does not answer now. A later try can succeed."""


class EventsRefused(DatabaseUnavailable):
    """The server answered with an error, and no event was written. The cause is temporary, or one of the events."""


class EngineNotReady(TigerSlackError):
    """The engine has not started yet. A later try succeeds."""


class DatabaseRefused(TigerSlackError):
    """The database refuses this program (password, missing database, rights, version). An operator must act."""


class OtherDatabase(DatabaseRefused):
    """Two addresses lead to different databases, but must lead to the same."""


class MigrationError(TigerSlackError):
    """The schema cannot be migrated to this version. Nothing was changed."""


class SlackRefused(TigerSlackError):
    """Slack refused a token or a method for good. An operator must act."""


class SlackDenied(SlackRefused):
    """Slack refused this call. It may concern only one channel; other calls can still work."""


class SlackScopeMissing(SlackDenied):
    """The app lacks a scope. Methods and kinds of channels that need another one still work."""


class SlackRestricted(TigerSlackError):
    """Slack allows the app so few calls that reading a history by them takes days."""


class SlackAbsent(SlackRefused):
    """Slack does not show this channel or thread to the app. `reason` is Slack's error code."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SlackUnavailable(TigerSlackError):
    """Slack does not answer, or answers with a failure that can pass. A later try can succeed.

    `retry_after` is the number of seconds that Slack asks to wait; None where it does not ask. `is_rate_limit` says
    that there were too many calls. With `is_final`, the caller wants no further try now.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, is_rate_limit: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_rate_limit = is_rate_limit
        self.is_final = False


class SlackCursorExpired(SlackUnavailable):
    """Slack does not know the cursor of a list any more. The list can be read again, from its beginning."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.is_final = True


class SpoolError(TigerSlackError):
    """The spool takes no events, because of its directory, its disk or its size limit."""


class SpoolFull(SpoolError):
    """The spool has reached its size limit."""
