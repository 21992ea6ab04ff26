"""Slack's markup becomes the text that Slack shows, also where it was cut."""

from __future__ import annotations

import pytest

from tiger_slack_tui.slack.markup import mentioned_ids, plain_beginning, plain_text

NAMES = {"U1": "ana", "C1": "ops"}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<@U1> &amp; <@U2>, see <#C1|old>", "@ana & @U2, see #ops"),
        ("<https://x.org|the notes> <mailto:a@b.c> <!here> &lt;b&gt;", "the notes a@b.c @here <b>"),
    ],
)
def test_markup_is_read(raw: str, shown: str) -> None:
    assert plain_text(raw, NAMES) == plain_beginning(raw, NAMES) == shown


@pytest.mark.parametrize("cut", ["for <@U", "for <https://x.org|the", "for &am", "for &"])
def test_markup_that_was_cut_is_not_shown(cut: str) -> None:
    assert plain_beginning(cut, NAMES) == "for …"


def test_the_ids_of_mentions_are_found() -> None:
    assert mentioned_ids("<@U1> <#C1|ops> <https://U9> @U8") == {"U1", "C1"}
