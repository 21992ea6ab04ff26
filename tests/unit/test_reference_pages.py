"""Pages that list what is in the code name all of it, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from scripts.licenses import locked
from tests.console.canned import snapshot
from tiger_slack_tui.base.metrics import METRICS
from tiger_slack_tui.base.snapshot import JobState

ROOT = Path(__file__).parents[2]
OBSERVABILITY = (ROOT / "docs/observability.md").read_text()


def rows(section: str) -> list[str]:
    """The lines of the table in the section of the page, without its head."""
    text = OBSERVABILITY.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_every_metric_is_explained() -> None:
    job = JobState("users", 0, None, 0, "done")
    now = replace(snapshot(), restarts={"the summary": 1}, jobs=(job,))
    expected = []
    for metric in METRICS:
        ending = "total" if metric.kind == "counter" else ""
        name = "_".join(filter(None, ("tiger_slack", metric.name, metric.unit, ending)))
        labels = ", ".join(f"`{label}`" for label in next(iter(metric.read(now)))[0])
        expected.append(f"| `{name}` | {metric.kind} | {labels} | {metric.description} |")
    assert rows("Metrics") == expected


def test_every_span_is_explained() -> None:
    """With its attributes: those it begins with, and those that are set before it ends."""
    found = {}
    for file in (ROOT / "tiger_slack_tui").rglob("*.py"):
        source = file.read_text()
        for match in re.finditer(r'\bwith span\(f?"([^"]+)"(.*?)\)[^)]*:\n', source):
            name = re.sub(r"\{.+?\}", "NAME", match[1])
            block = source[match.end() :].partition("set_attributes(")
            late = (
                re.findall(r'"(\w+)":', block[2].partition("}")[0])
                if "as current" in match[0]
                else []
            )
            found[name] = {*re.findall(r"(\w+)=", match[2]), *late}
    explained = {}
    for row in rows("Spans"):
        _, name, attributes, *_ = row.split("|")
        explained[name.strip(" `")] = {*re.findall(r"`(\w+)`", attributes)}
    assert explained == found


def test_every_locked_package_has_its_licence() -> None:
    page = (ROOT / "docs/licenses.md").read_text()
    listed = re.findall(r"^\| ([a-z0-9-]+) \| (\S+) \| .+ \|$", page, re.MULTILINE)
    assert listed == locked()
