"""Parameters that several tools have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Channel = Annotated[str, Field(description="A channel: its name, with or without #, or its id.")]
MessageChannel = Annotated[
    str, Field(description="The message's channel, by name or id; or the message's permalink.")
]
MessageTs = Annotated[
    str | None,
    Field(description="The message's ts (1700000000.000100). Leave it out with a permalink."),
]
User = Annotated[str, Field(description="A person: handle, display name, real name, or id.")]
Since = Annotated[
    str | None,
    Field(description="From when: 2026-03-01, 2026-03-01T12:00+01:00, or an age: 12h, 7d, 6mo."),
]
Until = Annotated[str | None, Field(description="Until when, as since. A day is included.")]
Cursor = Annotated[
    str | None,
    Field(description="next_cursor of the page before. The other arguments must stay the same."),
]
