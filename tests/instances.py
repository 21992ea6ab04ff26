"""Makes the state of an instance for tests in which only few of its columns matter."""

from __future__ import annotations

from uuid import NAMESPACE_OID, UUID, uuid5

from tiger_slack_tui.store.instances import InstanceState


def instance_state(
    instance: str = "one", *, start_id: UUID | None = None, age: float = 60
) -> InstanceState:
    """A connected instance that started `age` seconds ago. Without `start_id`, its name decides it."""
    return InstanceState(
        start_id=start_id or uuid5(NAMESPACE_OID, instance),
        instance=instance,
        version="1",
        host="here",
        pid=1,
        age=age,
        team_id="T0LOCAL",
        stopped=False,
        status="connected",
        status_age=1.0,
        reason=None,
        database_problem=None,
        queue=0,
        queue_limit=10,
        spool_events=0,
        spool_bytes=0,
        spool_problem=None,
        received=0,
        acked=0,
        events_per_second=0.0,
        ack_p99=None,
        ack_p95=None,
    )
