"""How commands print values."""

from __future__ import annotations

from typing import Any

import click
import orjson


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))
