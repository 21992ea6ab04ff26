"""The entry point of `tiger-slack` and `python -m tiger_slack_tui`."""

import signal


def start() -> None:
    """Run the command line. Until the command handles SIGINT, the signal ends the process silently."""
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):  # else the parent process ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tiger_slack_tui.cli.main import main

    main()


if __name__ == "__main__":
    start()
