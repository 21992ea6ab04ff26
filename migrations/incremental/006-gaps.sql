-- Which instances run, when they were connected to Slack, and the spans of which events may be missing.

create table slack.instance
( id int8 not null primary key generated always as identity
, instance text not null
, team_id text
, version text not null
, host text not null
, pid int4 not null
, started_at timestamptz not null
, last_seen_at timestamptz not null
, stopped_at timestamptz
, status text not null
, status_since timestamptz not null
, reason text
, database_problem text
, queue int4 not null
, queue_limit int4 not null
, spool_events int8 not null
, spool_bytes int8 not null
, spool_problem text
, received int8 not null
, acked int8 not null
, events_per_second float8 not null
, ack_p99 float8
);
create index instance_seen_idx on slack.instance (last_seen_at);
comment on table slack.instance is 'Every start of the program, and how it is: each instance writes its row every 5 s. One not seen for 30 s and not stopped is dead, or has lost the database. Kept for 30 days.';
comment on column slack.instance.id is 'Order of starting.';
comment on column slack.instance.instance is 'application_name of its sessions, SERVICE_NAME@HOST:PID. Containers may use one again.';
comment on column slack.instance.team_id is 'Workspace that its bot token speaks for; null until Slack has told.';
comment on column slack.instance.version is 'Version of the program.';
comment on column slack.instance.host is 'Name of its machine.';
comment on column slack.instance.pid is 'Number of its process.';
comment on column slack.instance.started_at is 'When it started.';
comment on column slack.instance.last_seen_at is 'When it last wrote this row, by the database''s clock.';
comment on column slack.instance.stopped_at is 'When it was stopped in good order; null while it runs, and after a crash.';
comment on column slack.instance.status is 'Its connection to Slack: starting, connecting, connected, backing off, held back, stopped.';
comment on column slack.instance.status_since is 'Since when it has this status.';
comment on column slack.instance.reason is 'Why it is not connected.';
comment on column slack.instance.database_problem is 'Why its events go to the spool; null while the database takes them.';
comment on column slack.instance.queue is 'Events read and not yet written.';
comment on column slack.instance.queue_limit is 'Events that the queue holds at most; a full one stops reading from Slack.';
comment on column slack.instance.spool_events is 'Events in its spool.';
comment on column slack.instance.spool_bytes is 'Size of its spool.';
comment on column slack.instance.spool_problem is 'Why the spool takes nothing either, so that nothing is acknowledged.';
comment on column slack.instance.received is 'Events received since its start.';
comment on column slack.instance.acked is 'Events acknowledged since its start.';
comment on column slack.instance.events_per_second is 'Events received a second, since the row was written before.';
comment on column slack.instance.ack_p99 is 'Seconds from reading an event to its ack, of 99 % of the newest.';

create table slack.connection
( id int8 not null primary key generated always as identity
, instance_id int8 not null references slack.instance on delete cascade
, connected_at timestamptz not null
, seen_at timestamptz not null
, ended_at timestamptz
, is_judged bool not null default false
);
create index connection_time_idx on slack.connection (connected_at);
create index connection_instance_idx on slack.connection (instance_id);
create index connection_new_idx on slack.connection (connected_at) where not is_judged;
comment on table slack.connection is 'Spans in which instances were connected to Slack, by the database''s clock. What none of them covers is a row of slack.gap. Kept for 30 days, the last one always.';
comment on column slack.connection.id is 'Order of writing.';
comment on column slack.connection.instance_id is 'The instance.';
comment on column slack.connection.connected_at is 'When Slack said hello. Connections that follow each other without a break are one row.';
comment on column slack.connection.seen_at is 'Until when it is known to have lived and events to have been taken: Slack was last heard of then, within 15 s of a loss.';
comment on column slack.connection.ended_at is 'When it was known to have ended; null while it lasts, and after a crash.';
comment on column slack.connection.is_judged is 'True once it is known whether there was a gap before it.';

create table slack.gap
( id int8 not null primary key generated always as identity
, team_id text
, reason text not null check (reason in ('not connected', 'queue stopped', 'rate limited', 'late deliveries', 'by hand'))
, started_at timestamptz not null
, ended_at timestamptz
, channel_id text
, instance text
, found_at timestamptz not null default now()
, grown_at timestamptz not null default now()
, begun_at timestamptz
, tried_at timestamptz
, closed_at timestamptz
, account jsonb
, error text
, check (ended_at >= started_at)
, check (closed_at is null or ended_at is not null)
);
create index gap_started_idx on slack.gap (started_at);
create index gap_open_idx on slack.gap (id) where closed_at is null;
comment on table slack.gap is 'Spans in which events may not have reached us. A backfill closes them with what Slack''s history has. Kept for a year after that.';
comment on column slack.gap.id is 'Order of finding.';
comment on column slack.gap.team_id is 'Workspace; null where it is not known.';
comment on column slack.gap.reason is 'not connected: no instance was connected to Slack; queue stopped: an instance could neither write nor spool events, so that it acknowledged none; rate limited: Slack withheld events (app_rate_limited); late deliveries: events came more than 2 h late, so that others may not have come at all; by hand: an operator asked for it.';
comment on column slack.gap.started_at is 'From when events may be missing.';
comment on column slack.gap.ended_at is 'Until when; null while it goes on.';
comment on column slack.gap.channel_id is 'The only channel that it concerns; null for all.';
comment on column slack.gap.instance is 'Instance that found it, or whose queue stopped.';
comment on column slack.gap.found_at is 'When it was written down.';
comment on column slack.gap.grown_at is 'When it was last made longer. One that events tell of can still grow for a while, so the job leaves it alone for an hour.';
comment on column slack.gap.begun_at is 'When a backfill first began with it; from then on the span stays as it is.';
comment on column slack.gap.tried_at is 'When a backfill last came to its end without closing it: error says why.';
comment on column slack.gap.closed_at is 'When a backfill closed it.';
comment on column slack.gap.account is 'What became of what the history holds, so far: {"channels", "skipped_channels", "threads", "deleted", "messages": {"read", "inserted", "already_there", "updated", "discarded", "skipped"}}.';
comment on column slack.gap.error is 'Why it is not closed, or what the backfill could not do.';

create table slack.gap_channel
( gap_id int8 not null references slack.gap on delete cascade
, channel_id text not null
, reached timestamptz
, is_done bool not null default false
, skipped text
, threads int8 not null default 0
, deleted int8 not null default 0
, account jsonb not null default '{}'
, primary key (gap_id, channel_id)
);
comment on table slack.gap_channel is 'How far the backfill of a gap is in each channel; written in the transaction of its messages, so that the next try goes on from there and counts none twice. Deleted when the gap is closed.';
comment on column slack.gap_channel.gap_id is 'The gap.';
comment on column slack.gap_channel.channel_id is 'The channel.';
comment on column slack.gap_channel.reached is 'ts of the oldest message read: the history is read from the newest; null before its first page.';
comment on column slack.gap_channel.is_done is 'True once its history and threads are read, or skipped.';
comment on column slack.gap_channel.skipped is 'Why it was not read: Slack''s word for it.';
comment on column slack.gap_channel.threads is 'Threads read.';
comment on column slack.gap_channel.deleted is 'Messages found to be deleted in Slack.';
comment on column slack.gap_channel.account is 'What became of its messages.';

create table slack.gap_thread
( gap_id int8 not null
, channel_id text not null
, thread_ts timestamptz not null
, primary key (gap_id, channel_id, thread_ts)
, foreign key (gap_id, channel_id) references slack.gap_channel on delete cascade
);
comment on table slack.gap_thread is 'Threads that a backfill is still to read.';
comment on column slack.gap_thread.gap_id is 'The gap.';
comment on column slack.gap_thread.channel_id is 'The channel.';
comment on column slack.gap_thread.thread_ts is 'ts of the thread''s parent.';

alter table slack.job_run drop constraint job_run_reason_check;
alter table slack.job_run add check (reason in ('schedule', 'catch-up', 'first start', 'by hand', 'gap'));
comment on column slack.job_run.job is 'users, channels, retention or backfill.';
comment on column slack.job_run.reason is 'schedule: its time had come; catch-up: its time came while nothing ran, or the run failed; first start: it never ended well before; by hand: an operator asked for it; gap: a gap was found.';
comment on column slack.job_run.rows_seen is 'Users or channels that Slack listed; for retention, rows deleted; for backfill, messages read.';

-- What ran before this version has left no connection behind; the newest event tells until when it ran at least.
with last as
( select e.team_id, e.received_at
  from slack.event e
  order by e.event_ts desc, e.id desc
  limit 1
)
, before as
( insert into slack.instance
  ( instance, team_id, version, host, pid, started_at, last_seen_at, stopped_at, status, status_since, queue
  , queue_limit, spool_events, spool_bytes, received, acked, events_per_second
  )
  select 'unknown', l.team_id, 'before 0.4.0', '', 0, l.received_at, l.received_at, l.received_at, 'stopped'
  , l.received_at, 0, 0, 0, 0, 0, 0, 0
  from last l
  returning id, started_at
)
insert into slack.connection (instance_id, connected_at, seen_at, ended_at, is_judged)
select b.id, b.started_at, b.started_at, b.started_at, true
from before b;
