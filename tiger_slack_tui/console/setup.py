"""The screen of the set-up: the questions of `tiger-slack init`, one after the other, before the first start."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Input, Static

from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.base.text import visible, wrap_item
from tiger_slack_tui.base.threads import DaemonThreads
from tiger_slack_tui.checks.check import Check
from tiger_slack_tui.checks.report import failed_checks, summary
from tiger_slack_tui.console.driver.app import NonBlockingApp
from tiger_slack_tui.console.options import ConsoleOptions
from tiger_slack_tui.console.themes import OUR_THEMES
from tiger_slack_tui.setup.env_file import write_settings
from tiger_slack_tui.setup.join_channels import (
    ALL_JOINED,
    WHICH_CHANNELS,
    join_channels,
    joinable_channels,
)
from tiger_slack_tui.setup.steps import INTRODUCTION, Answers, Step
from tiger_slack_tui.slack.pages import OnWait, wait_words

log = logging.getLogger(__name__)

FinalChecks = Callable[[OnWait], Awaitable[list[Check]]]
"""Runs all checks. It may call its argument from another thread."""
_SIDES = 3
"""Columns of the page's padding and scroll bar."""
Progress = Callable[[str], None]
"""Shows one line while an answer is worked on."""


class _Page(ABC):
    """One question, or one thing to do."""

    title: str
    verb = "Check"
    """What Enter does."""
    text: str
    example: str | None = None
    """A line to copy."""
    offered = ""
    """What Enter means in an empty field; "" if there is no field."""
    has_field = True
    is_secret = False

    def enter(self) -> None:  # noqa: B027 most pages have nothing to prepare
        """Called when the page is shown."""

    @abstractmethod
    async def submit(self, answer: str, progress: Progress) -> tuple[list[str], bool]:
        """Work on the answer. Returns lines to show, and whether the next page comes."""


class _StepPage(_Page):
    """A question for a setting. Enter again uses an answer whose check failed, if a run could begin with it."""

    def __init__(self, step: Step, answers: Answers, *, is_first: bool) -> None:
        self.title = step.title
        self.text = f"{INTRODUCTION}\n\n{step.explanation}" if is_first else step.explanation
        self.example = step.example
        self.is_secret = step.is_secret
        self._step = step
        self._answers = answers
        self._refused: str | None = None

    def enter(self) -> None:
        self._refused = None
        offered = self._answers.offered(self._step)
        self.offered = self._step.shown(offered) if offered else ""

    async def submit(self, answer: str, progress: Progress) -> tuple[list[str], bool]:
        step = self._step
        answer = answer or self._answers.offered(step)
        if not answer:
            return ["✗ An answer is needed."], False
        if answer != self._refused:
            progress("checking …")
            checks = await step.check(answer, lambda seconds: progress(wait_words(seconds)))
            if failed_checks(checks):
                lines = list(_lines(checks))
                if step.is_usable(answer, checks):
                    self._refused = answer
                    lines.append("Enter again uses it all the same.")
                return lines, False
        else:
            checks = []
        self._answers.accept(step, answer)
        return list(_lines(checks)), True


class _WritePage(_Page):
    """Shows what is written to .env, and writes it."""

    title = "Write"
    verb = "Write"
    has_field = False

    def __init__(self, answers: Answers, path: Path) -> None:
        self._answers = answers
        self._path = path

    def enter(self) -> None:
        lines = [f"  {visible(line)}" for line in self._answers.shown_changes()]
        self.text = "\n".join([f"To {self._path}, which then only you can read:", "", *lines])
        if not lines:
            self.text = f"{self._path} has these settings already."

    async def submit(self, answer: str, progress: Progress) -> tuple[list[str], bool]:
        changes, overridden = self._answers.changes(), self._answers.overridden()
        warnings = [f"! {sentence}" for sentence in overridden]
        if not changes:
            return [f"✓ {self._path} has these settings already.", *warnings], True
        self._answers.check()
        await asyncio.to_thread(write_settings, self._path, changes)
        return [f"✓ Written to {self._path}.", *warnings], True


class _ChannelsPage(_Page):
    """Joins the app to the public channels."""

    title = "Channels"
    verb = "Go on"
    text = f"{WHICH_CHANNELS}\n\nJoin the public channels that the app is not in? yes or no:"
    offered = "no"

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def submit(self, answer: str, progress: Progress) -> tuple[list[str], bool]:
        word = answer.lower() or "no"
        if word not in ("yes", "y", "no", "n"):
            return ["✗ Write yes or no."], False
        if word.startswith("n"):
            return ["No channel was joined."], True
        async with self._answers.slack_web() as web:
            progress("asking Slack for the channels …")
            channels = await joinable_channels(web, lambda seconds: progress(wait_words(seconds)))
            if not channels:
                return [ALL_JOINED], True
            joining = await join_channels(web, channels, lambda now: progress(f"joining {now}"))
        return joining.lines(), True


class _ReadyPage(_Page):
    """Shows doctor's checks; Enter starts the console."""

    title = "Start"
    verb = "Start"
    has_field = False

    def enter(self) -> None:
        self.text = "Enter starts the ingestion and shows the console."

    def judge(self, checks: Sequence[Check]) -> None:
        """Say what the checks mean; none: they could not be made."""
        does = "Enter starts the ingestion and shows the console."
        if not checks or failed_checks(checks):
            does = "Enter starts all the same."
        self.text = f"{summary(checks) if checks else 'The checks could not be made.'} {does}"

    async def submit(self, answer: str, progress: Progress) -> tuple[list[str], bool]:
        return [], True


class SetupApp(NonBlockingApp):
    """Walks through the pages. `is_done` says whether the operator reached the end and wants to start.

    Nothing is written before the page that shows what is written. `final_checks` are shown before the start.
    """

    TITLE = "tiger-slack"
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    #title, #keys { height: 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis; }
    #steps { height: auto; margin: 1 0 1 1; }
    #page { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #text, #example, #result { height: auto; }
    #example { color: $accent; margin: 1 0 0 0; max-height: 4; text-overflow: ellipsis; }
    #answer { margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "Leave", priority=True),
        Binding("escape", "previous", "Back", priority=True),
        Binding("enter", "submit", "Next"),  # of pages without a field
        Binding("ctrl+y", "copy", "Copy", priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self, answers: Answers, path: Path, final_checks: FinalChecks, options: ConsoleOptions
    ) -> None:
        super().__init__(is_ascii=options.ascii)
        self.animation_level = "none"
        self.is_done = False
        steps = answers.steps()
        self._pages: list[_Page] = [
            *(_StepPage(step, answers, is_first=step is steps[0]) for step in steps),
            _WritePage(answers, path),
            _ChannelsPage(answers),
            _ReadyPage(),
        ]
        self._at = 0
        self._lines: tuple[str, ...] = ()
        """What is shown below the page."""
        self._columns = 0
        self._final_checks = final_checks
        self._work: asyncio.Task[None] | None = None
        for theme in OUR_THEMES:
            self.register_theme(theme)
        self.theme = options.theme

    @property
    def _page(self) -> _Page:
        return self._pages[self._at]

    def compose(self) -> ComposeResult:
        yield Static(" tiger-slack  Set-up", id="title")
        yield Static(id="steps")
        with VerticalScroll(id="page", can_focus=False):
            yield Static(id="text")
            yield Static(id="example")
            yield Input(id="answer")
            yield Static(id="result")
        yield Static(id="keys")

    def on_mount(self) -> None:
        self._columns = self.size.width
        self._show()

    def _show(self, lines: Iterable[str] = ()) -> None:
        """Show the page, with the lines of what came before."""
        page = self._page
        page.enter()
        self.query_one("#steps", Static).update(self._steps())
        self.query_one("#text", Static).update(Content(page.text))
        example = self.query_one("#example", Static)
        example.update(Content(page.example or ""))
        example.display = page.example is not None
        field = self.query_one("#answer", Input)
        field.value = ""
        field.placeholder = page.offered
        field.password = page.is_secret
        field.display = page.has_field
        self._show_lines(lines)
        copy = " Ctrl-Y Copy the line " if page.example else ""
        back = " Esc Back " if self._at else ""
        keys = f" Enter {page.verb} {back}{copy} Ctrl-C Leave"
        self.query_one("#keys", Static).update(Content(keys))
        if page.has_field:
            field.focus()
        else:
            self.set_focus(None)

    def _steps(self) -> Content:
        """The titles of the pages: those behind with a check mark, the present one with a pointer."""
        titles = [page.title for page in self._pages]
        marks = ["✓"] * self._at + ["▸"] + [" "] * len(titles)
        return Content("  ".join(map(" ".join, zip(marks, titles, strict=False))))

    def _show_lines(self, lines: Iterable[str]) -> None:
        """Show the lines below the page, in lines that fit."""
        self._lines = tuple(lines)
        width = max(self._columns - _SIDES, 1)
        rows = [row for line in self._lines for row in wrap_item(line, width)]
        self.query_one("#result", Static).update(Content("\n".join(["", *rows])))
        self.query_one("#page", VerticalScroll).scroll_end(animate=False)

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        self._begin(submitted.value.strip())

    def action_submit(self) -> None:
        """Go on from a page without a field."""
        if not self._page.has_field:
            self._begin("")

    def _begin(self, answer: str) -> None:
        """Work on the answer; a second Enter meanwhile does nothing."""
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._submit(answer))

    async def _submit(self, answer: str) -> None:
        page = self._page
        try:
            lines, goes_on = await page.submit(answer, lambda line: self._show_lines([line]))
        except Exception as error:
            lines, goes_on = _told(error), isinstance(page, _ChannelsPage)
        if not goes_on:
            self._show_lines(lines)
            return
        if self._at + 1 == len(self._pages):
            self.is_done = True
            self.exit()
            return
        self._at += 1
        self._show(lines)
        if isinstance(self._page, _ReadyPage):
            await self._check_all(self._page, lines)

    async def _check_all(self, page: _ReadyPage, lines: list[str]) -> None:
        self._show_lines([*lines, "checking …"])
        loop, work = asyncio.get_running_loop(), self._work

        def show_wait(seconds: float) -> None:
            if work is not None and not (work.done() or work.cancelling()):
                self._show_lines([*lines, wait_words(seconds)])

        def on_wait(seconds: float) -> None:
            # The checks go on in their thread also after the page was left.
            loop.call_soon_threadsafe(show_wait, seconds)

        checks: list[Check] = []
        try:
            checks = await self._final_checks(on_wait)
            found = [*_lines(checks)]
        except Exception as error:
            found = _told(error)
        page.judge(checks)
        self.query_one("#text", Static).update(Content(page.text))
        self._show_lines([*lines, *found])

    def action_previous(self) -> None:
        """Go to the page before; what runs is cancelled."""
        was_at_work = self._cancel()
        if self._at or was_at_work:
            self._at = max(self._at - 1, 0)
            self._show(["Stopped. What was done stays."] if was_at_work else ())

    def action_leave(self) -> None:
        """Leave the set-up."""
        self._cancel()
        self.exit()

    def action_copy(self) -> None:
        """Copy the line through the terminal (OSC 52)."""
        if self._page.example:
            self.copy_to_clipboard(self._page.example)
            self._show_lines(
                ["Copied, if the terminal allows it. tiger-slack init prints the line, too."]
            )

    def _cancel(self) -> bool:
        """Cancel what runs. Returns whether something ran."""
        return self._work is not None and self._work.cancel()

    def on_resize(self, resize: Resize) -> None:
        self._columns = resize.size.width  # self.size is still the old one
        self._show_lines(self._lines)


def _told(error: Exception) -> list[str]:
    """What went wrong, without the data that an unexpected error can quote."""
    if isinstance(error, TigerSlackError):
        return f"✗ {error}".splitlines()
    log.error("the set-up failed", exc_info=error)
    return [f"✗ An error in this program: {where(error)}."]


def _lines(checks: Iterable[Check]) -> Iterable[str]:
    return (line for check in checks for line in check.lines())


def run_setup(
    answers: Answers, path: Path, final_checks: FinalChecks, options: ConsoleOptions
) -> bool:
    """Show the set-up until the operator leaves it. Blocks. Returns whether the console shall start."""
    app = SetupApp(answers, path, final_checks, options)

    async def show() -> None:
        # A check that hangs in a thread does not hold up the end.
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        await app.run_async(mouse=options.mouse)

    asyncio.run(show())
    return app.is_done
