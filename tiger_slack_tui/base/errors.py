"""What can go wrong, as types. Each message says what happened; each hint says what to do about it."""


class TigerSlackError(Exception):
    """Base of every error that is shown to a person: a sentence, never a traceback.

    `hint` says how to mend it. Neither part may hold a token, a password or the text of a message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


class SettingsError(TigerSlackError):
    """The environment does not describe a runnable program. Lists every problem at once."""

    exit_code = 2


class NoTerminalError(TigerSlackError):
    """A console was asked for where nobody could see it."""

    exit_code = 2


class EmbeddedPostgresError(TigerSlackError):
    """The embedded PostgreSQL could not be found, started or reached."""


class DatabaseUnavailable(TigerSlackError):
    """The database does not answer now; trying again later can succeed."""


class EventsRefused(DatabaseUnavailable):
    """The database answered, and took none of the events. The reason may pass, or lie in one of the events."""


class DatabaseRefused(TigerSlackError):
    """The database answers, but not to us (password, missing database, rights, version): a person must act."""


class OtherDatabase(DatabaseRefused):
    """Two addresses that must lead to the same database do not."""


class MigrationError(TigerSlackError):
    """The schema cannot be brought to this version. Nothing was changed."""


class SlackRefused(TigerSlackError):
    """Slack refused a token or a method for a reason that trying again does not mend."""


class SlackAbsent(SlackRefused):
    """Slack does not show this channel or thread to the app. `reason` is Slack's word for why."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SlackUnavailable(TigerSlackError):
    """Slack does not answer as it should now; trying again later can succeed.

    `retry_after` is the number of seconds that Slack asked to wait, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SpoolError(TigerSlackError):
    """The spool on disk cannot take events: its directory, its disk or its size limit."""


class SpoolFull(SpoolError):
    """The spool has reached its size limit."""
