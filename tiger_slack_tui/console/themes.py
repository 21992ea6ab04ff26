"""The console's own themes. Each state is shown by a symbol and a word, not only by colour."""

from __future__ import annotations

from textual.theme import Theme

DIMMED = "ansi_default dim"
"""The style of dimmed text in themes that do not define it: those that use the terminal's own colours."""
# Textual's own text-muted, "auto 60%", is drawn by our panes in full white or black: brighter than the text.
OUR_THEMES = (
    Theme(
        "tiger-dark",
        primary="#5fafd7",
        secondary="#87afaf",
        accent="#ffaf5f",
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        success="#87d787",
        warning="#ffd75f",
        error="#ff8787",
        dark=True,
        variables={"text-muted": "#8a8a8a", "dimmed": "#8a8a8a"},
    ),
    Theme(
        "tiger-light",
        primary="#005f87",
        secondary="#5f5f87",
        accent="#875f00",
        foreground="#1c1c1c",
        background="#ffffff",
        surface="#eeeeee",
        panel="#e4e4e4",
        success="#005f00",
        warning="#875f00",
        error="#af0000",
        dark=False,
        variables={"text-muted": "#626262", "dimmed": "#626262"},
    ),
    Theme(
        "tiger-contrast",
        primary="#00ffff",
        secondary="#ffffff",
        accent="#ffff00",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        success="#00ff00",
        warning="#ffff00",
        error="#ff5f5f",
        text_alpha=1.0,
        dark=True,
        variables={"text-muted": "#bcbcbc", "dimmed": "#bcbcbc"},
    ),
)
