"""The fields of the wizard's rows: what they are sorted by, and what exports contain."""

from __future__ import annotations

from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.views.importing.past_imports import past_state
from tiger_slack_tui.imports.ledger import FolderProgress
from tiger_slack_tui.store.import_account import ImportProblem
from tiger_slack_tui.store.past_imports import PastImport

PAST_FIELDS = (
    Field[PastImport]("began", lambda past: past.started_at),
    Field[PastImport]("ended", lambda past: past.finished_at),
    Field[PastImport]("state", lambda past: past_state(past)[0]),
    Field[PastImport]("messages", lambda past: past.account.read),
    Field[PastImport]("bad", lambda past: past.account.bad + past.files_failed),
    Field[PastImport]("path", lambda past: past.source),
)
FOLDER_FIELDS = (
    Field[FolderProgress]("channel", lambda folder: folder.name),
    Field[FolderProgress]("files", lambda folder: folder.files),
    Field[FolderProgress]("done", lambda folder: folder.done),
    Field[FolderProgress]("size", lambda folder: folder.bytes),
    Field[FolderProgress]("read", lambda folder: folder.account.read),
    Field[FolderProgress]("new", lambda folder: folder.account.inserted),
    Field[FolderProgress](
        "there", lambda folder: folder.account.already_there + folder.account.updated
    ),
    Field[FolderProgress]("channel_id", lambda folder: folder.channel, is_sortable=False),
)
PROBLEM_FIELDS = (
    Field[ImportProblem]("file", lambda problem: problem.path),
    Field[ImportProblem]("record", lambda problem: problem.position),
    Field[ImportProblem]("why", lambda problem: problem.reason),
)
