"""The names of channels and users that the engine knows only by their ids."""

from __future__ import annotations

from tiger_slack_tui.base.clock import Clock, SystemClock
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import marked_names

_MOST = 5000
"""The most names that are kept."""
_AGAIN_SECONDS = 600.0
"""Names are read again after this time: channels are renamed, and unknown ones become known."""


class Names:
    """Names by id. An id that is asked for is read by the next `read`; until then, its name is the id."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._names: dict[str, str] = {}
        self._wanted: set[str] = set()
        self._read_at = 0.0
        self.version = 0
        """Changes whenever names were read."""

    @property
    def is_wanted(self) -> bool:
        """Whether an id was asked for whose name was not read yet."""
        return bool(self._wanted)

    def of(self, given: str | None) -> str:
        """The #name of a channel or the @name of a user, or the id if the name is not known; "-" for no id."""
        if given is None:
            return "-"
        if given not in self._names and len(self._wanted) < _MOST:
            self._wanted.add(given)
        return self._names.get(given, given)

    async def fetch(self, connection: Connection) -> None:
        """Read the names that are wanted. Raises psycopg.Error."""
        wanted, now = set(self._wanted), self._clock.elapsed()
        if now - self._read_at > _AGAIN_SECONDS or len(self._names) > _MOST:
            self._names, self._read_at = {}, now
        if wanted:
            found = await marked_names(connection, wanted)
            self._names |= {one: found.get(one, one) for one in wanted}
            self._wanted -= wanted
            self.version += 1
