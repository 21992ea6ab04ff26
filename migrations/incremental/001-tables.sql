-- The tables. slack.version and slack.migration belong to the migration runner and are already here.

create table slack."user"
( id text not null primary key
, team_id text
, user_name text not null
, real_name text
, display_name text
, real_name_normalized text
, display_name_normalized text
, email text
, tz text
, tz_label text
, tz_offset int4
, deleted bool
, is_bot bool
, updated int8
, attributes jsonb not null default '{}'
);
comment on table slack."user" is 'People and bots of the workspace, as far as events and the daily sync have told of them.';
comment on column slack."user".id is 'Slack''s user id (U… or W…).';
comment on column slack."user".team_id is 'Workspace that the user belongs to.';
comment on column slack."user".user_name is 'Slack''s handle (user.name); the id where no name is known yet.';
comment on column slack."user".real_name is 'Full name.';
comment on column slack."user".display_name is 'Name shown in Slack (profile.display_name).';
comment on column slack."user".real_name_normalized is 'Full name without diacritics (profile.real_name_normalized).';
comment on column slack."user".display_name_normalized is 'Shown name without diacritics (profile.display_name_normalized).';
comment on column slack."user".email is 'E-mail address (profile.email; needs the scope users:read.email).';
comment on column slack."user".tz is 'Time zone by its IANA name.';
comment on column slack."user".tz_label is 'Time zone as Slack words it.';
comment on column slack."user".tz_offset is 'Time zone''s distance from UTC in seconds.';
comment on column slack."user".deleted is 'True once the user is deactivated.';
comment on column slack."user".is_bot is 'True for bot users.';
comment on column slack."user".updated is 'When Slack last changed the user, in seconds since 1970 (user.updated).';
comment on column slack."user".attributes is 'Newest known value of each column above and its recency: {"column": [updated, event_ts, value]}. The columns are made from it, so that partial payloads in any order end in the same row.';

create table slack.channel
( id text not null primary key
, channel_name text not null
, topic text
, purpose text
, is_archived bool
, is_shared bool
, is_ext_shared bool
, is_org_shared bool
, updated int8
, is_deleted bool
, is_member bool
, successor_id text
, attributes jsonb not null default '{}'
);
comment on table slack.channel is 'Channels, private channels and direct messages, as far as events and the daily sync have told of them.';
comment on column slack.channel.id is 'Slack''s channel id (C…, G… or D…).';
comment on column slack.channel.channel_name is 'Name without #; the id where no name is known yet.';
comment on column slack.channel.topic is 'Topic''s text.';
comment on column slack.channel.purpose is 'Purpose''s text.';
comment on column slack.channel.is_archived is 'True while the channel is archived.';
comment on column slack.channel.is_shared is 'True while the channel is shared with another workspace.';
comment on column slack.channel.is_ext_shared is 'True while the channel is shared with another organisation.';
comment on column slack.channel.is_org_shared is 'True while the channel is shared within the organisation.';
comment on column slack.channel.updated is 'When Slack last changed the channel''s settings, in milliseconds since 1970 (channel.updated).';
comment on column slack.channel.is_deleted is 'True once the channel is deleted; its messages stay.';
comment on column slack.channel.is_member is 'True while the app is a member; false where it never was or has left, so that no messages come from it.';
comment on column slack.channel.successor_id is 'Id that replaced this one (channel_id_changed).';
comment on column slack.channel.attributes is 'Newest known value of each column above and its recency: {"column": [time, event_ts, value]}. The columns are made from it, so that partial payloads in any order end in the same row.';

create table slack.message
( ts timestamptz not null
, channel_id text not null
, team text
, text text
, type text
, user_id text
, blocks jsonb
, event_ts timestamptz
, thread_ts timestamptz
, channel_type text
, client_msg_id uuid
, parent_user_id text
, updated_at timestamptz
, bot_id text
, attachments jsonb
, files jsonb
, app_id text
, subtype text
, trigger_id text
, workflow_id text
, display_as_bot bool
, upload bool
, x_files jsonb
, icons jsonb
, language jsonb
, edited jsonb
, reactions jsonb
, event_id text
, primary key (channel_id, ts)
);
create index message_thread_idx on slack.message (channel_id, thread_ts) where thread_ts is not null;
create index message_user_idx on slack.message (user_id, ts desc);
create index message_ts_idx on slack.message using brin (ts);
comment on table slack.message is 'Messages in their newest known content. Known by channel_id and ts together.';
comment on column slack.message.ts is 'When the message was posted; Slack''s ts to the microsecond, unique within its channel.';
comment on column slack.message.channel_id is 'Channel of the message; may be unknown to slack.channel.';
comment on column slack.message.team is 'Workspace of the author.';
comment on column slack.message.text is 'Text, as Slack sends it (mrkdwn, escaped &, <, >).';
comment on column slack.message.type is 'Slack''s type, "message".';
comment on column slack.message.user_id is 'Author; null for some bots; may be unknown to slack."user".';
comment on column slack.message.blocks is 'Block Kit layout.';
comment on column slack.message.event_ts is 'Recency of this content: event_ts of the event that it came from. Newer beats older.';
comment on column slack.message.thread_ts is 'ts of the thread''s parent, for the parent and its replies.';
comment on column slack.message.channel_type is 'channel, group, im, mpim or app_home.';
comment on column slack.message.client_msg_id is 'Id that the author''s client gave the message.';
comment on column slack.message.parent_user_id is 'Author of the thread''s parent, for replies.';
comment on column slack.message.updated_at is 'event_ts of the message_changed that this content came from; null while the message is as posted.';
comment on column slack.message.bot_id is 'Bot that posted the message.';
comment on column slack.message.attachments is 'Attachments and unfurled links.';
comment on column slack.message.files is 'Files, their URLs without secrets.';
comment on column slack.message.app_id is 'App that posted the message.';
comment on column slack.message.subtype is 'Slack''s subtype of the content; null for an ordinary message.';
comment on column slack.message.trigger_id is 'Trigger of a workflow''s message.';
comment on column slack.message.workflow_id is 'Workflow that posted the message.';
comment on column slack.message.display_as_bot is 'True for files posted as a bot.';
comment on column slack.message.upload is 'True where the message came with an upload.';
comment on column slack.message.x_files is 'Ids of files posted with the message (x_files).';
comment on column slack.message.icons is 'Icon of a bot''s message.';
comment on column slack.message.language is 'Language that Slack found the text to be in.';
comment on column slack.message.edited is 'Who edited the text last, and when, in whole seconds: {"user", "ts"}.';
comment on column slack.message.reactions is 'Reactions present now: [{"user_id", "reaction"}], oldest first; null where there are none.';
comment on column slack.message.event_id is 'Event that this content came from; decides between contents of one event_ts.';

create table slack.reaction
( channel_id text not null
, ts timestamptz not null
, user_id text not null
, reaction text not null
, is_present bool not null
, event_ts timestamptz not null
, event_id text not null
, primary key (channel_id, ts, user_id, reaction)
);
comment on table slack.reaction is 'Newest known state of each reaction, kept also while its message is unknown. slack.message.reactions shows those present.';
comment on column slack.reaction.channel_id is 'Channel of the message.';
comment on column slack.reaction.ts is 'ts of the message.';
comment on column slack.reaction.user_id is 'Who reacted.';
comment on column slack.reaction.reaction is 'Emoji''s name, with its skin tone.';
comment on column slack.reaction.is_present is 'True after an add, false after a removal.';
comment on column slack.reaction.event_ts is 'When it was added or removed. Newer beats older.';
comment on column slack.reaction.event_id is 'Event that told so; decides between two of one event_ts.';

create table slack.tombstone
( channel_id text not null
, ts timestamptz not null
, deleted_at timestamptz not null
, primary key (channel_id, ts)
);
comment on table slack.tombstone is 'Deleted messages, without their content, so that a late original or edit does not bring one back.';
comment on column slack.tombstone.channel_id is 'Channel of the message.';
comment on column slack.tombstone.ts is 'ts of the message.';
comment on column slack.tombstone.deleted_at is 'event_ts of the first deletion.';

create table slack.message_discard
( id int4 not null generated by default as identity primary key
, match jsonpath not null
, note text
);
comment on table slack.message_discard is 'Rules of the operators: a message for which jsonb_path_match(message, match, silent => true) is true for any row is not stored.';
comment on column slack.message_discard.id is 'Number of the rule, as shown with the events that it discarded.';
comment on column slack.message_discard.match is 'jsonpath predicate over the message, such as $.subtype == "channel_join".';
comment on column slack.message_discard.note is 'What the rule is for.';

create table slack.delivery
( event_id text not null primary key
, event_ts timestamptz not null
, received_at timestamptz not null
, last_received_at timestamptz not null
, deliveries int4 not null
);
comment on table slack.delivery is 'Every event_id received. Slack delivers at least once; only the first delivery has an effect. An ordinary table, because a hypertable cannot keep event_id unique by itself.';
comment on column slack.delivery.event_id is 'Slack''s event_id; for a frame without one, "sha256:" and a digest of it.';
comment on column slack.delivery.event_ts is 'event_ts of its row in slack.event.';
comment on column slack.delivery.received_at is 'When it was first received.';
comment on column slack.delivery.last_received_at is 'When it was last received.';
comment on column slack.delivery.deliveries is 'How often it was received.';

create table slack.event
( id int8 not null generated always as identity
, event_ts timestamptz not null
, type text
, subtype text
, event jsonb not null
, error jsonb
, event_id text not null
, received_at timestamptz not null
, outcome text not null check (outcome in ('stored', 'discarded', 'audit', 'unrouted', 'failed'))
, discard_id int4
, team_id text
, channel_id text
, user_id text
, message_ts timestamptz
, primary key (event_ts, id)
);
comment on table slack.event is 'Audit trail: each event once, with what became of it.';
comment on column slack.event.id is 'Order of writing.';
comment on column slack.event.event_ts is 'When it happened, by Slack''s clock (event.event_ts; where an event has none: event_time).';
comment on column slack.event.type is 'Slack''s type of the event.';
comment on column slack.event.subtype is 'Slack''s subtype, for messages.';
comment on column slack.event.event is 'The event as received, without NUL, lone surrogates and secrets in file URLs.';
comment on column slack.event.error is 'Why it failed: {"class", "message", "sqlstate", "diagnostics"}; null for all other outcomes.';
comment on column slack.event.event_id is 'Slack''s event_id, unique by slack.delivery.';
comment on column slack.event.received_at is 'When it was first received.';
comment on column slack.event.outcome is 'stored: it changed tables, or a newer event already had; discarded: a rule matched; audit: kept here only; unrouted: of a type that is not known; failed: see error.';
comment on column slack.event.discard_id is 'Rule that discarded it (slack.message_discard.id at that time).';
comment on column slack.event.team_id is 'Workspace that it was delivered for.';
comment on column slack.event.channel_id is 'Channel that it is about.';
comment on column slack.event.user_id is 'User that it is about.';
comment on column slack.event.message_ts is 'ts of the message that it is about.';

create type slack.routed_event as
( event_id text
, event_ts timestamptz
, received_at timestamptz
, type text
, subtype text
, effects text[]
, outcome text
, team_id text
, channel_id text
, user_id text
, message_ts timestamptz
, event jsonb
, error jsonb
);
comment on type slack.routed_event is 'An event on its way into the tables: what it is, what it is about and which effects it has (message, deletion, reaction, user, channel).';
