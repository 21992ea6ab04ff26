"""Shows why a message is stored, or why it is not."""

from __future__ import annotations

from tiger_slack_tui.audit.reference import MessageReference
from tiger_slack_tui.console.host import Host
from tiger_slack_tui.console.model.sources import ViewSources
from tiger_slack_tui.console.panes.paint import line


def explain(host: Host, sources: ViewSources, message: MessageReference) -> None:
    """Read what is known about the message, and show it as `tiger-slack why` prints it."""

    async def read() -> None:
        lines = await sources.audit.why(message, sources.settings.home / "spool")
        host.read("why", lambda _: map(line, lines), copied="\n".join(lines))

    host.attempt("Why", read())
