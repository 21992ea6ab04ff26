"""The numbers of advisory locks are in one place, and agree with the SQL functions that take them."""

from __future__ import annotations

import re

from tiger_slack_tui.postgres import lock_keys
from tiger_slack_tui.postgres.migrate.files import shipped_migrations


def test_no_number_is_used_twice() -> None:
    assert len(set(numbers())) == len(numbers())


def test_sql_functions_take_only_known_locks() -> None:
    taken = {
        int(number)
        for file in shipped_migrations()
        for number in re.findall(r"pg_advisory_\w+\((\d+)", file.body)
    }
    assert taken
    assert taken <= set(numbers())


def numbers() -> list[int]:
    return [value for value in vars(lock_keys).values() if isinstance(value, int)]
