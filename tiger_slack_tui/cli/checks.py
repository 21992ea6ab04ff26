"""What `tiger-slack doctor` reports of each check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    """What is there. Each line after the first is a further problem."""
    fix: str | None = None
    """What to do, unless the state is ok."""
