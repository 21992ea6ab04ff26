"""Channels and people have one name in every list: with its mark, or the id where no name is known."""

from tiger_slack_tui.audit.words import channel_name, format_channel, format_user, person_name


def test_names_and_ids() -> None:
    assert (channel_name("C1", "ops"), person_name("U1", "Ana L")) == ("#ops", "@Ana L")
    assert (format_channel("C1", "ops"), format_user("U1", "Ana L")) == ("#ops C1", "@Ana L U1")
    for name in (None, "", "C1"):  # a channel that only events mention has its id as its name
        assert (channel_name("C1", name), format_channel("C1", name)) == ("C1", "C1")
    assert (person_name("U1", "U1"), person_name(None, None)) == ("U1", "-")
