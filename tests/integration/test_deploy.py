"""What deploy/ asks the database and Prometheus for exists, and images are pinned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.console.canned import snapshot
from tests.mcp.serving import Workspace, ordinary
from tiger_slack_tui.base.metrics import prometheus_text
from tiger_slack_tui.base.snapshot import JobState

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/tiger-slack.json").read_text())
ALERTS = (ROOT / "deploy/prometheus/alerts.yml").read_text()
_FROM, _TO = "'2026-02-25T00:00:00Z'", "'2026-02-26T00:00:00Z'"
_MACROS = (
    (r"\$__timeFilter\((\w+)\)", rf"\1 between {_FROM} and {_TO}"),
    (
        r"\$__timeGroupAlias\((\w+), \$__interval\)",
        r'floor(extract(epoch from \1) / 60) * 60 as "time"',
    ),
    (r"\$__timeFrom\(\)", _FROM),
    (r"\$__timeTo\(\)", _TO),
)
"""Grafana's macros for PostgreSQL, as it expands them."""


def queries() -> Iterator[tuple[str, str]]:
    """Each SQL query of the dashboard, with the panel's title."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            if "rawSql" in target:
                yield panel["title"], target["rawSql"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["name"], note["target"]["rawSql"]
    for variable in DASHBOARD["templating"]["list"]:
        if isinstance(variable["query"], str) and variable["query"].startswith("select"):
            yield variable["name"], variable["query"]


def expanded(query: str, channel: str) -> str:
    for macro, sql in _MACROS:
        query = re.sub(macro, sql, query)
    query = query.replace("${channel:sqlstring}", channel)
    assert "$" not in query
    return query


def test_every_query_of_the_dashboard_runs(database: psycopg.Connection[Any]) -> None:
    workspace = ordinary(Workspace(database))
    first = workspace.post("hello")
    workspace.react("C1", first, "tada")
    workspace.post("yes?", thread_ts=first)
    workspace.post("hello", channel="C2")
    database.execute("update slack.channel set is_member = true")
    workspace.gap(1, "2026-02-25T06:00:00Z")
    found = {
        (title, channel): database.execute(expanded(query, channel)).fetchall()
        for title, query in queries()
        for channel in ("'all'", "'C2'")
    }
    assert len(found) == 2 * 14
    assert sum(row[1] for row in found["Messages", "'all'"]) == 3
    assert sum(row[1] for row in found["Messages", "'C2'"]) == 1
    assert found["Busiest channels", "'all'"] == [("#ops", 2, 1), ("#sales", 1, 1)]
    ((_, threads, reactions),) = found["Threads and reactions by day", "'all'"]
    assert (threads, reactions) == (1, 1)
    assert [row[:2] for row in found["Gaps", "'all'"]] == [(1, "not connected")]
    assert found["channel", "'all'"] == [("ops", "C1"), ("sales", "C2")]


def _expressions() -> list[str]:
    shown = [
        target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
        if "expr" in target
    ]
    return shown + re.findall(r"^ +expr: (.+)$", ALERTS, re.MULTILINE)


def test_every_metric_and_label_of_the_dashboard_and_the_alerts_exists() -> None:
    job = JobState("users", 0, None, 0, "done")
    now = replace(snapshot(), restarts={"the summary": 1}, jobs=(job,))
    lines = prometheus_text(now).decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    exported = {re.match(r"\w+", line)[0] for line in samples}  # type: ignore[index]
    labels = {*re.findall(r'(\w+)="', "\n".join(samples)), "instance", "job", "exported_job"}
    expressions = _expressions()
    assert len(expressions) > 25
    for expression in expressions:
        assert set(re.findall(r"tiger_slack_\w+", expression)) <= exported
        used = re.findall(r"(\w+) ?=~?\"", expression) + [
            label
            for listed in re.findall(r"by \(([\w, ]+)\)", expression)
            for label in listed.split(", ")
        ]
        assert set(used) <= labels, expression


@pytest.mark.parametrize(
    "name", ["Dockerfile", "compose.yaml", "deploy/kubernetes/tiger-slack.yaml"]
)
def test_images_are_pinned(name: str) -> None:
    """To a version with three numbers, apart from the program's own, which compose builds."""
    images = re.findall(r"^ *(?:FROM|image:) (\S+)", (ROOT / name).read_text(), re.MULTILINE)
    own = {"tiger-slack-tui"} if name == "compose.yaml" else set()
    wrong = [image for image in images if not re.search(r":\d+\.\d+\.\d+", image)]
    assert (bool(images), set(wrong) - own) == (True, set())
