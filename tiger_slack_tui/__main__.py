"""`python -m tiger_slack_tui` is `tiger-slack`."""

from tiger_slack_tui.cli import main

main()
