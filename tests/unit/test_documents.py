"""The documents name only files that there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_TOPS = ("tiger_slack_tui/", "tests/", "migrations/", "docs/", "benchmarks/", "scripts/")


def named_files(text: str) -> Iterator[str]:
    for code in re.findall(r"`([^`\s]+)`", text):
        if code.startswith(_TOPS) or re.fullmatch(r"[a-z_]+/[a-z_/]+\.py", code):
            yield code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_links(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [link for link in links if not (document.parent / link).exists()]
    for name in named_files(text):
        if "NAME" in name or "NNN" in name:
            continue
        if not ((ROOT / name).exists() or (ROOT / "tiger_slack_tui" / name).exists()):
            missing.append(name)
    assert missing == []


def test_the_sample_has_every_setting_and_no_other() -> None:
    source = (ROOT / "tiger_slack_tui/base/settings.py").read_text()
    read = set(re.findall(r'"((?:[A-Z]+_)+[A-Z]+|PG[A-Z]+)"', source))
    sample = (ROOT / ".env.sample").read_text()
    documented = set(re.findall(r"^#?([A-Z][A-Z_]+)=", sample, re.MULTILINE))
    of_libpq = {"PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"}  # libpq itself reads these
    assert documented - of_libpq == read


def test_a_file_that_is_not_there_is_found() -> None:
    assert list(named_files("see `tests/unit/no.py` and `slack/none.py`")) == [
        "tests/unit/no.py",
        "slack/none.py",
    ]
