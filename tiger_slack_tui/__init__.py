"""Ingests a Slack workspace into TimescaleDB or PostgreSQL and shows its operators how it goes."""

__version__ = "0.5.0"
