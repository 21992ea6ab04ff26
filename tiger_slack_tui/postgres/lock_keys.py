"""The advisory lock of each job: held by the session that runs it, so that one instance at a time does."""

from __future__ import annotations

USERS_LOCK_KEY = 5245366294413312
CHANNELS_LOCK_KEY = 6801911210587046
RETENTION_LOCK_KEY = 7226612417840853
BACKFILL_LOCK_KEY = 3947120865531127

LOCK_KEYS = {
    "users": USERS_LOCK_KEY,
    "channels": CHANNELS_LOCK_KEY,
    "retention": RETENTION_LOCK_KEY,
    "backfill": BACKFILL_LOCK_KEY,
}
"""By the job's name, in the order in which they are shown."""
