-- A page of a channel, and what was said around a message, are read from the weeks that have messages of the channel, not
-- from every chunk of slack.message. The job "search" fills the table for messages that are stored already.
create table slack.channel_week
( channel_id text not null
, week timestamptz not null
, primary key (channel_id, week)
);
comment on table slack.channel_week is 'The weeks in which a channel has messages in slack.message, or had them: readers look only there.';
comment on column slack.channel_week.channel_id is 'Channel of the messages.';
comment on column slack.channel_week.week is 'Begin of the week: a Thursday, 00:00 UTC, as that of a chunk of slack.message.';
