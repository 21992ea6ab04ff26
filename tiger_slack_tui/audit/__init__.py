"""Answers questions about events and messages, and changes rules. Knows no user interface.

Every function takes a connection that commits each statement by itself, does not block the event loop, and ends when
its task is cancelled. psycopg.Error passes through; postgres.failures.translate_errors() turns it into our errors.
"""
