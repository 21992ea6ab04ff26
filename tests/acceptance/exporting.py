"""Runs the engine for a while with Logfire exporting into memory, and prints all of what was exported.

    python tests/acceptance/exporting.py URL BOT_TOKEN APP_TOKEN CONNINFO HOME

A process of its own, because Logfire is set up for the whole process. Ends with its standard input.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support import QUICK
from tiger_slack_tui.base.log_setup import log_to_stderr
from tiger_slack_tui.base.logfire_export import set_up
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.engine import Engine
from tiger_slack_tui.headless.run import run_headless


async def main(url: str, bot_token: str, app_token: str, conninfo: str, home: str) -> None:
    spans, logs, metrics = (
        InMemorySpanExporter(),
        InMemoryLogRecordExporter(),
        InMemoryMetricReader(),
    )
    settings = Settings(home=Path(home), conninfo=conninfo, pool_min=1, pool_max=3)
    log_to_stderr(settings)  # for its levels
    logging.getLogger().handlers[:] = set_up(
        settings,
        span_processors=[SimpleSpanProcessor(spans)],
        metric_readers=[metrics],
        log_processors=[SimpleLogRecordProcessor(logs)],
    )
    engine = Engine(settings, SlackSettings(bot_token, app_token, url), conninfo, timing=QUICK)
    run = asyncio.create_task(run_headless(engine))
    await asyncio.to_thread(sys.stdin.read)
    # What asyncio itself says of an error that nobody took.
    asyncio.get_running_loop().call_exception_handler(
        {"message": "nobody took it", "exception": RuntimeError("MARKED words of an error")}
    )
    engine.stop()
    await run
    measured = metrics.get_metrics_data()  # the engine publishes its last figures when it ends
    sys.stdout.write(
        json.dumps(
            {
                "spans": [span.to_json() for span in spans.get_finished_spans()],
                "logs": [
                    {"body": entry.log_record.body, "attributes": entry.log_record.attributes}
                    for entry in logs.get_finished_logs()
                ],
                "metrics": measured.to_json() if measured else "",
            },
            default=dict,
        )
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
