-- What the app heard in channels that it has left is kept apart: a gap that is found later shortens it.
alter table slack.channel_history add column heard tstzmultirange not null default '{}';
comment on column slack.channel_history.heard is 'Earlier periods in which the app was a member and heard each message, apart from the open gaps of slack.gap. The present one begins at slack.channel.heard_since.';
comment on column slack.channel_history.complete is 'The periods for which a backfill has read the whole history, or an import has merged all of it. Rows of earlier versions also have periods that the app heard.';
comment on table slack.channel_history is 'The periods for which a channel is complete, or was heard. Together with slack.channel.heard_since and the open gaps they give complete_since and complete_until.';

alter table slack.job_run drop constraint job_run_outcome_check;
alter table slack.job_run add check (outcome in ('done', 'incomplete', 'failed', 'timed out', 'cancelled', 'cut off', 'skipped'));
