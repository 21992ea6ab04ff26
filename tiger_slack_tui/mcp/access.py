"""What the clients of the server may see, as the operator allows it. Imports nothing that takes long."""

from __future__ import annotations

from dataclasses import dataclass

from tiger_slack_tui.base.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Access:
    """What the operator allows. Without anything, only public channels are visible."""

    private: bool = False
    direct_messages: bool = False
    channels: tuple[str, ...] = ()
    """Ids and names. If there are any, only these channels are visible, whatever their type."""
    emails: bool = False
    """Whether the e-mail addresses of users are visible."""

    def __post_init__(self) -> None:
        if self.channels and (self.private or self.direct_messages):
            raise SettingsError(
                "--channel cannot be combined with --private or --direct-messages.",
                hint="With --channel, only these channels are visible, whatever their type.",
            )

    def describe(self) -> str:
        """What is visible, in a sentence."""
        if self.channels:
            return f"Visible are only the channels {', '.join(self.channels)}."
        more = [
            *(["private channels"] if self.private else []),
            *(["direct messages"] if self.direct_messages else []),
        ]
        return f"Visible are public channels{''.join(f', {each}' for each in more)}."
