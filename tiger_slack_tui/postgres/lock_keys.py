"""The numbers of all advisory locks: those that the program takes, and those that its SQL functions take.

PostgreSQL names a lock by one key of 64 bits, or by two of 32 bits, a class and a key. A key of one part and a key of
two parts never conflict. All instances that share a database must use the same numbers, so a number is never changed.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

MIGRATION_LOCK_KEY = 5860155447541760
"""Held by the session that migrates, until its transaction ends."""

USERS_LOCK_KEY = 5245366294413312
CHANNELS_LOCK_KEY = 6801911210587046
RETENTION_LOCK_KEY = 7226612417840853
BACKFILL_LOCK_KEY = 3947120865531127
SEARCH_LOCK_KEY = 6155291470823909

JOB_LOCK_KEYS = {
    "users": USERS_LOCK_KEY,
    "channels": CHANNELS_LOCK_KEY,
    "retention": RETENTION_LOCK_KEY,
    "backfill": BACKFILL_LOCK_KEY,
    "search": SEARCH_LOCK_KEY,
}
"""By the job's name, in the order in which jobs are shown. The session that runs the job holds its lock."""

IMPORT_LOCK_CLASS = 1768778863
"""Upper half of the key that an import's session holds; the lower half is the import's id.

As a class of two keys: one import at a time begins with a source, or writes to a week of a channel
(slack.lock_for_import).
"""
IMPORT_WORKER_LOCK_CLASS = 1768778871
"""Upper half of the key that an import's workers share; the lower half is the import's id.

A worker that outlives its import still holds it: such a worker may still commit the batch that it works on.
"""

MESSAGE_LOCK_CLASS = 1936482657
"""Class of slack.lock_messages; the key is slack.message_bucket of the message."""
DOCUMENTS_LOCK_KEY = 1685021555
"""Held by whoever decides which documents are made: slack.index_history, slack.renew_documents, migrations."""
REPLAY_LOCK_KEY = 1919250527
"""Held by slack.replay: one replay at a time."""
GAP_LOCK_KEY = 1734438958
"""Held by slack.lock_gaps: one transaction at a time writes gaps."""
