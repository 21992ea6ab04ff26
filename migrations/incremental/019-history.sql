-- How far back each channel is complete, the history that is owed since the app joined a channel, and which threads of it
-- have been read.
alter table slack.channel
  add column complete_since timestamptz
, add column complete_until timestamptz
, add column heard_since timestamptz;
comment on column slack.channel.complete_since is 'Since when the channel is complete: every message that Slack''s history has from then until complete_until is stored, or was discarded by a rule. 1970-01-01: since its beginning. Null: unknown. docs/history.md names what history does not show.';
comment on column slack.channel.complete_until is 'Until when the channel is complete. Null, with complete_since set: until now, as the app is a member and hears each message.';
comment on column slack.channel.heard_since is 'Since when the app is known to be a member and to hear each message, apart from the gaps of slack.gap. Null while it is not a member.';
create index channel_unheard_idx on slack.channel (id) where is_member and heard_since is null;

-- Channels that the app was in before this version are heard from now on. What they lack before is not owed: an export
-- may have been imported.
update slack.channel c set heard_since = now(), complete_since = now()
where c.is_member
and exists (select from slack.connection);

create table slack.channel_history
( channel_id text not null primary key
, complete tstzmultirange not null
);
comment on table slack.channel_history is 'The periods for which a backfill has read the whole history of a channel, an import has merged all of it, or the app heard all of it before it left the channel. Together with slack.channel.heard_since and the open gaps they give complete_since and complete_until.';
comment on column slack.channel_history.channel_id is 'The channel.';
comment on column slack.channel_history.complete is 'The periods.';

create table slack.thread_history
( channel_id text not null
, thread_ts timestamptz not null
, reply_count int4 not null
, latest_reply timestamptz
, primary key (channel_id, thread_ts)
);
comment on table slack.thread_history is 'What Slack said of each thread before a backfill read all of it. If it now says more, the thread has grown, and is read again.';
comment on column slack.thread_history.channel_id is 'The channel.';
comment on column slack.thread_history.thread_ts is 'ts of the thread''s parent.';
comment on column slack.thread_history.reply_count is 'Number of replies.';
comment on column slack.thread_history.latest_reply is 'ts of the newest reply.';

alter table slack.gap drop constraint gap_reason_check;
alter table slack.gap add check (reason in ('not connected', 'queue stopped', 'rate limited', 'late deliveries', 'by hand', 'joined'));
create index gap_joined_idx on slack.gap (channel_id) where reason = 'joined';

alter table slack.gap_channel add column shown_since timestamptz;
comment on column slack.gap_channel.shown_since is 'ts of the oldest message that Slack shows, if it hides older ones because of the workspace''s plan. Null if it hides none.';

alter table slack.gap_thread
  add column reply_count int4
, add column latest_reply timestamptz
, add column reached timestamptz;
comment on column slack.gap_thread.reply_count is 'Number of replies that Slack named when the thread was found. Null where it named none.';
comment on column slack.gap_thread.latest_reply is 'ts of the newest reply that Slack named then.';
comment on column slack.gap_thread.reached is 'ts of the newest reply that was read: replies are read from the oldest on. Null before the first page.';

alter table slack.instance add column ack_p95 float8;
comment on column slack.instance.ack_p95 is 'Seconds from reading an event to acknowledging it: the 95th percentile of the last 5 s. Null if no event was acknowledged in them.';

alter table slack.job_run add column progress text;
comment on column slack.job_run.progress is 'How far the run is, in words, for jobs that can tell. Null for others.';
