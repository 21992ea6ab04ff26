"""The console with a key that makes it crash while a token stands in a local variable."""

import sys

from textual.binding import Binding

from tiger_slack_tui.cli import main as cli
from tiger_slack_tui.console import app


def action_crash(self: app.ConsoleApp) -> None:
    token = "xoxb-secret-of-a-local"
    self.say(str(1 / (len(token) - len(token))))


app.ConsoleApp.action_crash = action_crash  # type: ignore[attr-defined]
app.ConsoleApp.BINDINGS.append(Binding("X,shift+x", "crash", "Crash"))
app.ConsoleApp._merged_bindings = app.ConsoleApp._merge_bindings()
sys.argv = ["tiger-slack", "run"]
cli.main()
