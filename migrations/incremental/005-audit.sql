-- What the operators' questions to the audit trail need: its indexes, the age of rules and rules that are off, replays.

alter table slack.message_discard add column created_at timestamptz;
alter table slack.message_discard alter column created_at set default now();
comment on column slack.message_discard.created_at is 'When the rule was made; null for rules older than this column.';

create table slack.message_discard_off
( id int4 not null primary key
, match jsonpath not null
, note text
, created_at timestamptz
, off_at timestamptz not null default now()
, is_removed bool not null
);
comment on table slack.message_discard_off is 'Rules that discard nothing now: turned off, or removed and kept to explain what they discarded. A rule moves between here and slack.message_discard and keeps its id.';
comment on column slack.message_discard_off.id is 'Number of the rule (slack.message_discard.id).';
comment on column slack.message_discard_off.match is 'jsonpath predicate over the message.';
comment on column slack.message_discard_off.note is 'What the rule is for.';
comment on column slack.message_discard_off.created_at is 'When the rule was made.';
comment on column slack.message_discard_off.off_at is 'When it was turned off or removed.';
comment on column slack.message_discard_off.is_removed is 'True for a rule that was removed: it is not turned on again.';

alter table slack.event add column replays jsonb;
comment on column slack.event.replays is 'Replays, oldest first, with what had become of the event until then: [{"at", "outcome", "discard_id", "error"}]; null where there was none.';

-- Each finds the newest events for one of the questions; event_ts and id behind it give their order. What they include
-- tells without a look at the table which events meet further conditions, so that two frequent values that never come
-- together are told soon, too.
create index event_message_idx on slack.event (message_ts);
create index event_channel_idx on slack.event (channel_id, event_ts, id) include (user_id, type, outcome);
create index event_user_idx on slack.event (user_id, event_ts, id) include (channel_id, type, outcome);
create index event_type_idx on slack.event (type, outcome, event_ts, id);
-- Most events are stored: the way of these needs no index of theirs.
create index event_outcome_idx on slack.event (outcome, event_ts, id) where outcome <> 'stored';
create index event_discard_idx on slack.event (discard_id, event_ts, id) include (channel_id, user_id, type, outcome)
where discard_id is not null;
-- Rows are written in its order, so that the newest are found by a few bytes.
create index event_id_idx on slack.event using brin (id) with (pages_per_range = 64, autosummarize = on);
comment on index slack.event_message_idx is 'The history of one message.';
comment on index slack.event_channel_idx is 'The newest events of a channel.';
comment on index slack.event_user_idx is 'The newest events of a user.';
comment on index slack.event_type_idx is 'The newest events of a type and outcome.';
comment on index slack.event_outcome_idx is 'The newest events that were not stored, by outcome.';
comment on index slack.event_discard_idx is 'How often each rule discarded, and when last.';
comment on index slack.event_id_idx is 'What was written last.';

-- A preview of a rule goes through the newest messages of all channels; imports write them in another order than ts, so
-- that block ranges do not find these.
drop index slack.message_ts_idx;
create index message_ts_idx on slack.message (ts);
comment on index slack.message_ts_idx is 'The newest messages of all channels.';
