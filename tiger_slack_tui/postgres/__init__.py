"""Connections, locks, failures, migrations and the embedded server: everything about PostgreSQL but the tables."""
