"""The embedded PostgreSQL, for machines without a server."""
