"""Hands on keys, and texts that are pasted, in their order: each after everything that the one before it did."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.events import Key, Paste
from textual.message import Message

_LONGEST_SECONDS = 1.0
"""How long the next keys wait for one that does not end: the widget that had it may be gone, or busy."""


Typed = Key | Paste
"""What a person types: a key, or the text that the terminal pastes."""


class KeyHandled(Message):
    """Follows a key from the widget that got it up to the app. It arrives when the key's action is done."""


class KeyOrder:
    """The keys that wait for the one before them.

    Textual gives a key to the widget that has the focus when the key arrives. Of several keys that arrive at once,
    as over a slow line, the later ones would miss the field or the dialog that the first one opens. A text that is
    pasted counts as a key.
    """

    def __init__(self, app: App[Any], hand_on: Callable[[Typed], Awaitable[None]]) -> None:
        """`hand_on` gives a key to the widget that has the focus."""
        self._app = app
        self._hand_on = hand_on
        self._waiting: deque[Typed] = deque()
        self._awaited: KeyHandled | None = None
        """What arrives when the last key is handled."""
        self._limit: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether every key that was taken is handled."""
        return self._awaited is None

    async def take(self, key: Typed) -> None:
        """Hand the key on as soon as its turn comes."""
        self._waiting.append(key)
        if self._awaited is None:
            await self._hand_on_next()

    def handled(self, message: KeyHandled) -> None:
        """Go on with the next key: the one that the message followed is handled."""
        if message is self._awaited and self._app.screen_stack:
            # A new screen first composes itself; then the app gives the focus to whatever asked for it meanwhile.
            self._app.screen.call_later(self._app.call_later, self._go_on, message)

    async def _hand_on_next(self) -> None:
        while self._waiting and self._awaited is None:
            key = self._waiting.popleft()
            await self._hand_on(key)
            if not key.is_forwarded:
                continue
            message = KeyHandled()
            if (self._app.focused or self._app.screen).post_message(message):
                self._awaited = message
                loop = asyncio.get_running_loop()
                self._limit = loop.call_later(
                    _LONGEST_SECONDS, self._app.call_later, self._go_on, message
                )

    async def _go_on(self, message: KeyHandled) -> None:
        if message is not self._awaited:
            return
        self._awaited = None
        if self._limit is not None:
            self._limit.cancel()
        await self._hand_on_next()
