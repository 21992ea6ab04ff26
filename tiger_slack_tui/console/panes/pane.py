"""The table widget of all views: a title, the titles of columns, and rows, one of which can be selected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tiger_slack_tui.base.stacktrace import where
from tiger_slack_tui.console.panes.arrangement import Arrangement, Field
from tiger_slack_tui.console.panes.exported_rows import (
    MOST_COPIED,
    AllRows,
    CopiedRows,
    OnRead,
    ReadRest,
)
from tiger_slack_tui.console.panes.paint import BAD, DIM, KEY, NOTE, facing, folded, line
from tiger_slack_tui.console.panes.table_text import table_line, table_lines
from tiger_slack_tui.console.time_slice import TimeSlice

log = logging.getLogger(__name__)

T = TypeVar("T")

_SOUGHT_AT_ONCE = 2000
"""The most rows that are searched for the selected one at once, without slices."""

_EXPORTED = 240
"""Cells of a line that is exported or copied."""
FAR = 10_000_000
"""More rows than any pane has. Moving by this number goes to the first or the last row."""
Paint = Callable[[T, int], Content]
"""Makes a line from a row. The number is the line's width in cells."""


@dataclass(frozen=True, slots=True)
class Body(Generic[T]):
    """What a pane shows. The cursor follows the row with the same key (`key` of the pane)."""

    rows: Sequence[T] = ()
    title: str = ""
    note: str = ""
    """At the right end of the title."""
    head: Callable[[int], Content] | None = None
    """The titles of columns."""
    empty_text: Sequence[str] = ()
    """Lines shown if there are no rows: whether that is well, and what to do next."""
    problem: str | None = None
    """Why the rows are old or missing."""
    is_old: bool = False
    left_out: str = ""
    """What the rows lack, for those who export them, such as "the newest 300 of each kind"; "" if nothing."""
    has_more: bool = False
    """Whether there are rows that are not loaded. Only loaded ones are filtered and sorted in the pane."""
    newest: int | None = None
    """The index of the newest row: the cursor follows it until the operator moves. None if no row is the newest."""


class Pane(Widget, Generic[T], can_focus=True):
    """Rows under a title. With `selectable`, one of them has the cursor; otherwise the rows scroll.

    Only rows in sight are painted, so there may be any number of them. A row whose painting fails shows the error;
    the other rows are not affected.
    """

    DEFAULT_CSS = """
    Pane { height: 1fr; text-wrap: nowrap; text-overflow: clip; }
    """

    class Selected(Message):
        """The cursor has moved to another row."""

        def __init__(self, pane: Pane[Any], row: Any) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

        @property
        def control(self) -> Pane[Any]:
            return self.pane

    def __init__(
        self,
        paint: Paint[T],
        *,
        id: str,  # noqa: A002 as Textual names it
        key: Callable[[T], Hashable] | None = None,
        selectable: bool = False,
        copy: Callable[[T], str] | None = None,
        find: Callable[[T], str] | None = None,
        fields: Sequence[Field[T]] = (),
        rest: ReadRest[T] | None = None,
        can_focus: bool = True,
    ) -> None:
        """`copy` gives the text to copy for a row: an id or a link. `fields` are what rows are sorted by, and
        what exports contain. `rest` reads the rows that are not loaded, for exports and copies.

        A filter searches the row as it is painted, or the text that `find` gives, which is faster. Without
        `can_focus`, the pane only shows: nobody can filter, copy or export it.
        """
        super().__init__(id=id)
        self._paint = paint
        self._key = key
        self._selectable = selectable
        self._copy = copy
        self.fields = fields
        self._rest = rest
        self._arrangement: Arrangement[T] = Arrangement(
            find or (lambda row: self._line(row, 300).plain),
            fields,
            run=lambda work, name: self.run_worker(
                work, exclusive=True, group=name, exit_on_error=False
            ),
            cancel=lambda name: self.workers.cancel_group(self, name),
            on_arranged=lambda: self.show(self._body),
        )
        self._body: Body[T] = Body()
        self._rows: Sequence[T] = ()
        self._cursor = 0
        self._top = 0
        self._painted: tuple[Size, list[Content]] | None = None
        self._painted_rows: dict[tuple[int, int], Content] = {}
        """The rows of `_body` that were painted, by index and width: a move or a resize paints only new ones."""
        self.can_focus = can_focus
        self._is_following = True

    @property
    def body(self) -> Body[T]:
        return self._body

    @property
    def row(self) -> T | None:
        """The row with the cursor."""
        if not self._selectable or not self._rows:
            return None
        return self._rows[min(self._cursor, len(self._rows) - 1)]

    @property
    def rows_below(self) -> int:
        """How many rows come after the one with the cursor."""
        return max(len(self._rows) - 1 - self._cursor, 0)

    @property
    def is_in_sight(self) -> bool:
        """Whether the pane and all of its parents are displayed."""
        nodes = (node for node in self.ancestors_with_self if isinstance(node, Widget))
        return self.is_attached and all(node.display for node in nodes)

    @property
    def filter_text(self) -> str:
        return self._arrangement.filter_text

    @property
    def can_sort(self) -> bool:
        return self._arrangement.can_sort

    @property
    def is_sorted(self) -> bool:
        """Whether the operator has chosen an order."""
        return bool(self._arrangement.sorted_by)

    def sort_by_next(self) -> None:
        """Sort by the next field; after the last one, show the rows in their own order."""
        self._arrangement.sort_by_next()
        self.show(self._body)

    def reverse(self) -> None:
        """Reverse the order of the sorted rows."""
        self._arrangement.is_reversed = not self._arrangement.is_reversed
        self.show(self._body)

    def show(self, body: Body[T]) -> None:
        """Show this. The cursor stays on its row if that is still there."""
        before = self.row
        self._body = body
        self._painted_rows = {}
        self._rows = self._arrangement.arrange(body.rows)
        if self.is_following:
            self._cursor = self._newest or 0
        elif before is not None and self._key is not None:
            self._find(self._key(before))
        self._settle()
        if self.row is not None and (before is None or self._is_other(before, self.row)):
            self.post_message(self.Selected(self, self.row))
        self._repaint()

    def filter_rows(self, text: str) -> None:
        """Show only the rows that contain the text, or with a leading ! those that do not. "" shows all.

        Many rows are searched in slices, and the result is shown when all were searched.
        """
        self._arrangement.filter(text)
        self.show(self._body)

    @property
    def is_following(self) -> bool:
        """Whether the cursor follows the newest row."""
        return self._is_following and self._newest is not None

    @property
    def _newest(self) -> int | None:
        """The index of the newest row among the shown ones; None if no row is the newest, or they are sorted."""
        newest, last = self._body.newest, len(self._rows) - 1
        if self._arrangement.sorted_by:
            return None
        return last if newest and self.filter_text else newest

    def follow(self) -> None:
        """From now on, keep the newest row in sight."""
        self._is_following = True
        self.show(self._body)

    def to_end(self) -> None:
        """Go to the last row. If new rows come at the end, follow them."""
        if self._newest:
            self.follow()
        else:
            self.move(FAR)

    def move(self, rows: int) -> None:
        """Move the cursor or scroll. This ends following, unless it leads to the newest row."""
        self._is_following = False
        if not self._selectable:
            self._top += rows
        before = self.row
        self._cursor += rows
        self._settle()
        ends = (0, len(self._rows) - 1)
        self._is_following = self._newest in ends and self._position == self._newest
        self._repaint()
        if self.row is not None and before is not None and self._is_other(before, self.row):
            self.post_message(self.Selected(self, self.row))

    @property
    def _position(self) -> int:
        """The index of the row with the cursor. Without a cursor: of the first or last row in sight."""
        if self._selectable or not self._newest:
            return self._cursor if self._selectable else self._top
        return min(self._top + self._room, len(self._rows)) - 1

    def scroll_to_row(self, index: int) -> None:
        """Scroll so that this row is at the top, or as near as can be."""
        self.move(index - (self._cursor if self._selectable else self._top))

    def page(self, pages: int) -> None:
        """Move by as many rows as are in sight."""
        self.move(pages * max(self._room - 1, 1))

    @property
    def copies_name(self) -> bool:
        """Whether `copy_text` gives an id or a link of the row, not the row as it is shown."""
        return self._copy is not None and self.row is not None

    async def copy_text(self) -> str:
        """The text to copy: the selected row, or the pane if no row can be selected."""
        row = self.row
        if row is not None:
            return self._copy(row) if self._copy else self.text_of(row)
        return (await self.copy_rows()).text

    async def copy_rows(self, on_read: OnRead = lambda _: None) -> CopiedRows:
        """The rows as text, at most `MOST_COPIED` of them. Other tasks run in between."""
        found = await self.all_rows(MOST_COPIED, on_read)
        rows = found.rows[:MOST_COPIED]
        is_whole = found.is_whole and len(found.rows) == len(rows)
        shown = [text async for text in self.text_lines(rows)]
        if not is_whole:
            shown.append("… and more rows; e writes them to a file")
        return CopiedRows("\n".join(shown), len(rows), is_whole)

    async def all_rows(self, most: int, on_read: OnRead) -> AllRows[T]:
        """The rows in the order in which they are shown, also those that were not loaded yet.

        If rows have to be read, it ends at about `most`. Raises what reading raises. Other tasks run in between.
        """
        if self._rest is None:
            return AllRows(self._rows, True)
        rows, is_whole = list(self._body.rows), True
        async for page in self._rest():
            if page and len(rows) >= most:
                is_whole = False
                break
            rows += page
            on_read(len(rows))
        return AllRows(await asyncio.to_thread(self._arrangement.arrange_now, rows), is_whole)

    @property
    def rows(self) -> Sequence[T]:
        """The rows that pass the filter, in the order in which they are shown."""
        return self._rows

    def text_of(self, row: T) -> str:
        """The row as it is shown in a wide pane, without the blanks around it and between its columns."""
        text = self._line(row, _EXPORTED).plain
        return text.strip() if self._body.head is None else table_line(text)

    async def text_lines(self, rows: Sequence[T]) -> AsyncIterator[str]:
        """The titles of the columns and the rows as plain text, line by line. Other tasks run in between."""
        time_slice, head = TimeSlice(1), self._body.head
        if head is not None:
            titles = self._guarded(head, _EXPORTED).plain
            async for text in table_lines(
                titles, rows, lambda row: self._line(row, _EXPORTED).plain
            ):
                yield text
            return
        for row in rows:
            await time_slice.yield_if_due()
            yield self.text_of(row)

    @property
    def _room(self) -> int:
        """Rows in sight."""
        return max(self.size.height - 1 - (self._body.head is not None) - len(self._warning()), 0)

    def _find(self, key: Hashable) -> None:
        assert self._key is not None  # noqa: S101 the caller looked
        # Rows move little from one sample to the next.
        near = range(max(self._cursor - 50, 0), min(self._cursor + 50, len(self._rows)))
        rest = range(len(self._rows)) if len(self._rows) <= _SOUGHT_AT_ONCE else ()
        for index in chain(near, rest):
            if self._key(self._rows[index]) == key:
                self._place(index)
                return
        if len(self._rows) > _SOUGHT_AT_ONCE:
            self.run_worker(self._seek(key), exclusive=True, group="seek", exit_on_error=False)

    async def _seek(self, key: Hashable) -> None:
        """Find a row among many, in slices. Gives up if other rows are shown or selected meanwhile."""
        time_slice, rows, cursor = TimeSlice(), self._rows, self._cursor
        for index in range(len(rows)):
            await time_slice.yield_if_due()
            if self._key is not None and self._key(rows[index]) == key:
                if self._rows is rows and self._cursor == cursor:
                    self._place(index)
                    self._settle()
                    self._repaint()
                return

    def _place(self, index: int) -> None:
        """Move the cursor to a row, and the window with it."""
        self._top += index - self._cursor
        self._cursor = index

    def _is_other(self, before: T, now: T) -> bool:
        return self._key(before) != self._key(now) if self._key else before is not now

    def _settle(self) -> None:
        """Keep cursor and window inside the rows."""
        last = max(len(self._rows) - 1, 0)
        self._cursor = max(0, min(self._cursor, last))
        if self._selectable:
            self._top = max(self._cursor - self._room + 1, min(self._top, self._cursor))
        if not self._selectable and self.is_following:
            self._top = self._newest or 0
        self._top = max(0, min(self._top, len(self._rows) - self._room))

    def _repaint(self) -> None:
        # A hidden pane has no size. It is painted when it is shown.
        painted = (self.size, self._lines()) if self.size else None
        if painted != self._painted:
            self._painted = painted
            self.refresh()

    def render(self) -> Content:
        if self._painted is None or self._painted[0] != self.size:
            self._settle()
            self._painted = (self.size, self._lines())
        return Content("\n").join(self._painted[1] or [Content("")])

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines without borders, padding and effects, which a pane does not have. This takes half the time."""
        strips = []
        filters, background = self.get_line_filters(), self.background_colors[1]
        style = self.visual_style.rich_style
        for y in crop.line_range:
            strip = self.render_line(y).adjust_cell_length(self.size.width, style)
            for change in filters:
                strip = strip.apply_filter(change, background)
            strips.append(strip)
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def on_resize(self) -> None:
        self._settle()
        self._repaint()

    def on_focus(self) -> None:
        self._repaint()

    def on_blur(self) -> None:
        self._repaint()

    def on_click(self, event: Click) -> None:
        first = 1 + (self._body.head is not None) + len(self._warning())
        if self._selectable and event.y >= first:
            self.move(self._top + event.y - first - self._cursor)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.move(-3)

    def _lines(self) -> list[Content]:
        width, height = self.size
        if not width or not height:
            return []
        body = self._body
        lines = [self._title(width), *self._warning()]
        if body.head is not None:
            indent = "  " if self._selectable else ""
            lines.append(line(indent) + self._guarded(body.head, width - len(indent)))
        if not self._rows:
            lines += self._nothing(width, height - len(lines))
        for index in range(self._top, min(self._top + self._room, len(self._rows))):
            lines.append(self._row(index, width))
        return lines[:height]

    def _row(self, index: int, width: int) -> Content:
        if not self._selectable:
            return self._painted_row(index, width)
        is_here = index == self._cursor
        pointer = ("▸ ", KEY) if is_here else "  "
        shown = line(pointer) + self._painted_row(index, width - 2)
        if is_here and self.has_focus:
            # Without the colours of its parts, which would make a bar of patches: symbols and words stay.
            shown = Content(shown.truncate(width, pad=True).plain).stylize("reverse")
        return shown

    def _painted_row(self, index: int, width: int) -> Content:
        shown = self._painted_rows.get((index, width))
        if shown is None:
            shown = self._painted_rows[index, width] = self._line(self._rows[index], width)
        return shown

    def _line(self, row: T, width: int) -> Content:
        shown = self._guarded(lambda room: self._paint(row, room), width)
        return shown.stylize(DIM) if self._body.is_old else shown

    def _guarded(self, paint: Callable[[int], Content], width: int) -> Content:
        try:
            return paint(width)
        except Exception as error:
            log.error("the pane %s cannot show a row", self.id, exc_info=error)
            return line((f"✗ cannot be shown: {where(error)}", BAD))

    def _title(self, width: int) -> Content:
        body = self._body
        style = KEY if self.has_focus else DIM
        wanted = self.filter_text
        name = f"{body.title} /{wanted}" if wanted else body.title
        left = line(("── ", style), (name, f"bold {KEY}" if self.has_focus else "bold"), " ")
        note = self._arrangement.sorted_by or body.note  # the note can name the rows' own order
        if self.is_sorted and body.has_more:
            note += f" of the {len(body.rows):,} loaded"
        if wanted:
            note = f"{len(self._rows):,} of {len(body.rows):,}{' loaded' if body.has_more else ''}"
            note = "searching …" if self._arrangement.is_filtering and not self._rows else note
        elif self._selectable and len(self._rows) > self._room > 0:
            note = f"{note} · {self._cursor + 1:,}/{len(self._rows):,}".removeprefix(" · ")
        right = line(" ", (note, DIM), (" ──", style)) if note else Content("")
        return facing(left, right, width, "─", style)

    def _warning(self) -> list[Content]:
        problem = self._body.problem
        return [] if problem is None else [line((f" ✗ {problem}", NOTE))]

    def _nothing(self, width: int, room: int) -> list[Content]:
        if self.filter_text and self._body.rows:
            if self._arrangement.is_filtering:
                return [line((f"  Searching {len(self._body.rows):,} rows …", DIM))]
            return [line((f"  No row contains {self.filter_text!r}. Esc shows all.", DIM))]
        texts = [line((f"  {text}", DIM)) for text in self._body.empty_text]
        rows = [row for text in texts for row in folded(text, width)]
        above = max((room - len(rows)) // 3, 0)
        return [Content("")] * above + rows
