"""The documents name only files, settings and versions that there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiger_slack_tui import __version__

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


def test_every_page_is_short_and_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert len(pages) > 15
    unlinked = [page.name for page in pages if f"(docs/{page.name})" not in readme]
    assert unlinked == ["licenses.md"]  # linked from docs/security.md
    long = [page.name for page in pages if len(page.read_text().splitlines()) >= 150]
    assert long == ["schema.md"]  # a reference
    assert len(readme.splitlines()) < 150


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


def test_changes_after_a_release_have_another_version() -> None:
    """A database of the released version would refuse the new migrations: versions tell who migrated it."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    unreleased, *_ = changelog.partition("## [Unreleased]")[2].split("\n## [")
    released = re.findall(r"^## \[([0-9.]+)\]", changelog, re.MULTILINE)
    assert not unreleased.strip() or __version__ not in released
