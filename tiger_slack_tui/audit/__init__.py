"""Asks and changes the audit trail: rules, events, the history of a message, replays. Knows no screen.

Everything works over a connection that commits by itself (database.pool.connect), never blocks the event loop, and
ends when its task is cancelled. psycopg.Error passes through; database.failures.translate_errors() words it.
"""
