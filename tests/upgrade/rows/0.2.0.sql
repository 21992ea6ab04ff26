insert into slack.job_run (job, reason, scheduled_for, instance, started_at, finished_at, outcome, rows_seen, rows_changed, rows_failed, cursor, error, bad_rows)
values
  ('users', 'first start', null, 'tiger-slack@host:1', '2023-11-14 22:00Z', '2023-11-14 22:01Z', 'done', 2, 1, 0, null, null, null)
, ('channels', 'schedule', '2023-11-15 03:00Z', 'tiger-slack@host:1', '2023-11-15 03:00Z', '2023-11-15 03:01Z', 'failed', 1, 0, 1, 'next', 'Slack answered ratelimited', '[{"id": "C9", "sqlstate": "22P02"}]')
, ('retention', 'by hand', null, 'tiger-slack@host:1', '2023-11-16 03:00Z', null, null, 0, 0, 0, null, null, null);
