-- What the jobs did, and what their retention needs.

create table slack.job_run
( id int8 not null primary key generated always as identity
, job text not null
, reason text not null check (reason in ('schedule', 'catch-up', 'first start', 'by hand'))
, scheduled_for timestamptz
, instance text not null
, started_at timestamptz not null default now()
, finished_at timestamptz
, outcome text check (outcome in ('done', 'failed', 'timed out', 'cancelled', 'cut off', 'skipped'))
, rows_seen int8 not null default 0
, rows_changed int8 not null default 0
, rows_failed int8 not null default 0
, cursor text
, error text
, bad_rows jsonb
, check ((outcome is null) = (finished_at is null))
);
create index job_run_job_idx on slack.job_run (job, id desc);
comment on table slack.job_run is 'Every run of a job: what started it, where, and what it did. Kept for a year.';
comment on column slack.job_run.id is 'Order of starting.';
comment on column slack.job_run.job is 'users, channels or retention.';
comment on column slack.job_run.reason is 'schedule: its time had come; catch-up: its time came while nothing ran, or the run failed; first start: it never ended well before; by hand: an operator asked for it.';
comment on column slack.job_run.scheduled_for is 'Time of the schedule that this run is for; null where no schedule started it.';
comment on column slack.job_run.instance is 'Who ran it: the application_name of its sessions, SERVICE_NAME@HOST:PID.';
comment on column slack.job_run.started_at is 'When it began.';
comment on column slack.job_run.finished_at is 'When it ended; for a run cut off, when that was noticed. Null while it runs, and after a crash until the next run.';
comment on column slack.job_run.outcome is 'done, failed, timed out, cancelled (the instance was stopped), cut off (its session was lost: a crash), skipped (another session held the lock). Null while it runs.';
comment on column slack.job_run.rows_seen is 'Users or channels that Slack listed; for retention, rows deleted.';
comment on column slack.job_run.rows_changed is 'Rows that are different now; for retention, rows deleted.';
comment on column slack.job_run.rows_failed is 'Rows that the database refused; the first of them stand in bad_rows.';
comment on column slack.job_run.cursor is 'Slack''s cursor of the next page; where a run ended badly, the next one goes on there.';
comment on column slack.job_run.error is 'Why it did not end well, or who held the lock.';
comment on column slack.job_run.bad_rows is 'The first rows that were refused: [{"id", "sqlstate"}].';

create index delivery_received_idx on slack.delivery using brin (received_at) with (autosummarize = on);
comment on index slack.delivery_received_idx is 'Finds what the retention deletes; rows are written in about this order.';

-- They return whether something changed now; the idempotent files make them again.
drop function if exists slack.upsert_user(jsonb);
drop function if exists slack.upsert_channel(jsonb);
