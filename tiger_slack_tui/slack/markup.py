"""Reads the markup in which Slack writes texts: <references> to people, channels and links, and escaped characters.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape

_REFERENCE = re.compile(r"<([^<>]*)>")
_MENTION = re.compile(r"<([@#])([A-Z0-9]{2,40})(?:\|[^<>]*)?>")
_CUT = re.compile(r"(<[^<>]*|&[a-z]{0,3})$")
"""The beginning of a reference or an escaped character, at the end of a text that was cut."""


def mentioned_ids(text: str) -> set[str]:
    """The ids of the people and channels that the text mentions."""
    return {match[2] for match in _MENTION.finditer(text)}


def plain_text(text: str, names: Mapping[str, str]) -> str:
    """The text as Slack shows it: names (without @ and #) in place of ids, labels in place of links.

    The result is not safe for terminals yet: see base/text.py.
    """
    return unescape(_REFERENCE.sub(lambda match: _shown(match[1], names), text)).strip()


def plain_beginning(text: str, names: Mapping[str, str]) -> str:
    """As `plain_text`, for a text that may have been cut anywhere."""
    return plain_text(_CUT.sub("…", text), names)


def _shown(reference: str, names: Mapping[str, str]) -> str:
    """What Slack shows for <reference>."""
    target, _, label = reference.partition("|")
    if target[:1] in "@#" and target[1:]:
        name = names.get(target[1:]) or label.lstrip("@#") or target[1:]
        return target[0] + name
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    return label or target.removeprefix("mailto:")
