-- Comments on tables and columns. They replace those of the files in incremental/, which are never edited. A column that
-- is missing here keeps the comment that it was created with.

comment on schema slack is 'A Slack workspace, as ingested by tiger-slack';

comment on table slack.version is 'The version of the program that the schema belongs to. One row.';
comment on column slack.version.version is 'Version of the program that migrated the schema last.';
comment on column slack.version.at is 'When it migrated the schema.';

comment on table slack.migration is 'The migration files that were applied.';
comment on column slack.migration.file_name is 'Path below the migrations directory.';
comment on column slack.migration.applied_at_version is 'Version of the program that applied it.';
comment on column slack.migration.applied_at is 'When it was applied; for an idempotent file, the last time.';
comment on column slack.migration.body is 'Text of the file as it was applied.';

comment on table slack."user" is 'People and bots of the workspace. Events and the daily sync add and update them.';
comment on column slack."user".user_name is 'Slack''s handle (user.name); the id while no handle is known.';
comment on column slack."user".display_name is 'Name that Slack shows (profile.display_name).';
comment on column slack."user".display_name_normalized is 'Name that Slack shows, without diacritics (profile.display_name_normalized).';
comment on column slack."user".tz is 'Time zone: its IANA name.';
comment on column slack."user".tz_label is 'Time zone: the name that Slack shows.';
comment on column slack."user".tz_offset is 'Time zone: seconds from UTC.';
comment on column slack."user".deleted is 'Whether the user is deactivated.';
comment on column slack."user".is_bot is 'Whether the user is a bot.';
comment on column slack."user".attributes is 'The newest known value of each column above, with its recency: {"column": [updated, event_ts, value]}. The columns are computed from it. So partial payloads end in the same row, in whatever order they come.';

comment on table slack.channel is 'Public and private channels and direct messages. Events and the daily sync add and update them.';
comment on column slack.channel.channel_name is 'Name without #; the id while no name is known.';
comment on column slack.channel.topic is 'Text of the topic.';
comment on column slack.channel.purpose is 'Text of the purpose.';
comment on column slack.channel.is_archived is 'Whether the channel is archived.';
comment on column slack.channel.is_shared is 'Whether the channel is shared with another workspace.';
comment on column slack.channel.is_ext_shared is 'Whether the channel is shared with another organisation.';
comment on column slack.channel.is_org_shared is 'Whether the channel is shared within the organisation.';
comment on column slack.channel.is_deleted is 'Whether the channel is deleted. Its messages stay.';
comment on column slack.channel.is_member is 'Whether the app is a member of the channel. Slack sends no messages of other channels. Null while it is not known.';
comment on column slack.channel.successor_id is 'The id that replaced this one (channel_id_changed).';
comment on column slack.channel.attributes is 'The newest known value of each column above, with its recency: {"column": [time, event_ts, value]}. The columns are computed from it. So partial payloads end in the same row, in whatever order they come.';

comment on table slack.channel_name is 'Every name that a channel has or had.';
comment on column slack.channel_name.channel_id is 'Channel that has or had the name. Several channels can have had one name.';
comment on column slack.channel_name.is_by_message is 'Whether the name is known only from messages about a rename (subtypes channel_name and group_name). Imports do not look up channels by such a name: a second import of an export could find other channels than the first.';

comment on table slack.message is 'Messages with their newest known content. channel_id and ts identify a message.';
comment on column slack.message.ts is 'When the message was posted: Slack''s ts, exact to the microsecond and unique within the channel.';
comment on column slack.message.channel_id is 'Channel of the message. slack.channel may not have it yet.';
comment on column slack.message.text is 'Text as Slack sends it: mrkdwn, with &, < and > escaped.';
comment on column slack.message.user_id is 'Author. Null for some bots. slack."user" may not have it yet.';
comment on column slack.message.event_ts is 'event_ts of the event that this content came from. Content with a greater event_ts replaces it.';
comment on column slack.message.thread_ts is 'ts of the thread''s parent, for the parent and its replies. Null outside threads.';
comment on column slack.message.updated_at is 'event_ts of the message_changed event that this content came from; null for a message that was not changed.';
comment on column slack.message.files is 'Files. Secrets are removed from their URLs.';
comment on column slack.message.trigger_id is 'Trigger of a message that a workflow posted.';
comment on column slack.message.display_as_bot is 'Whether a file was posted as a bot.';
comment on column slack.message.upload is 'Whether a file was uploaded with the message.';
comment on column slack.message.icons is 'Icons of a message that a bot posted.';
comment on column slack.message.language is 'Language of the text, as Slack detected it.';
comment on column slack.message.edited is 'Who edited the text last, and when, in whole seconds: {"user", "ts"}.';
comment on column slack.message.reactions is 'The present reactions, oldest first: [{"user_id", "reaction"}]. Null where there are none.';
comment on column slack.message.event_id is 'Event that this content came from. For imported content: "0", the content''s length and its digest. It decides between contents with the same event_ts: live content replaces imported content, and longer imported content replaces shorter.';

comment on table slack.reaction is 'The newest known state of each reaction, also while its message is not known. slack.message.reactions shows the present ones.';
comment on column slack.reaction.reaction is 'Name of the emoji, with its skin tone.';
comment on column slack.reaction.is_present is 'True after it was added, false after it was removed.';
comment on column slack.reaction.event_ts is 'When it was added or removed. A state with a greater event_ts replaces this one.';
comment on column slack.reaction.event_id is 'Event that added or removed it. It decides between two events with the same event_ts.';

comment on table slack.tombstone is 'Deleted messages, without their content. An original or an edit that arrives after the deletion does not restore the message.';
comment on column slack.tombstone.deleted_at is 'event_ts of the first deletion.';

comment on table slack.message_discard is 'Rules of the operators that are on. A message is not stored if jsonb_path_match(message, match, silent => true) is true for one of them.';
comment on column slack.message_discard.id is 'Number of the rule. slack.event.discard_id refers to it.';
comment on column slack.message_discard.note is 'What the rule is for.';
comment on column slack.message_discard.created_at is 'When the rule was added. Null for rules that are older than this column.';

comment on table slack.message_discard_off is 'Rules that are off, and removed rules, which are kept to explain what they discarded. A rule that is turned off or on moves between this table and slack.message_discard and keeps its id.';
comment on column slack.message_discard_off.created_at is 'When the rule was added.';
comment on column slack.message_discard_off.is_removed is 'Whether the rule was removed. A removed rule cannot be turned on.';

comment on table slack.message_discard_failure is 'How often PostgreSQL could not evaluate a rule on a message. A rule does not match a message on which it fails. A rule has several rows if several transactions counted at the same time; their sum is its count.';
comment on column slack.message_discard_failure.failures is 'Messages on which the rule failed, as counted in this row.';
comment on column slack.message_discard_failure.first_at is 'When this row was first counted in.';
comment on column slack.message_discard_failure.last_at is 'When this row was last counted in.';
comment on column slack.message_discard_failure.sqlstate is 'SQLSTATE of the newest failure in this row.';

comment on table slack.delivery is 'Every event_id that was received. Slack can deliver an event several times; only the first delivery has an effect. This is an ordinary table, because a hypertable cannot keep event_id unique.';
comment on column slack.delivery.event_id is 'Slack''s event_id. For an envelope without one: "sha256:" and its digest.';
comment on column slack.delivery.event_ts is 'event_ts of the event''s row in slack.event.';
comment on column slack.delivery.received_at is 'When the event was first received.';
comment on column slack.delivery.last_received_at is 'When the event was last received.';
comment on column slack.delivery.deliveries is 'How often the event was received.';

comment on table slack.event is 'The audit trail: each event once, and what became of it.';
comment on column slack.event.id is 'Order in which events were written.';
comment on column slack.event.event_ts is 'When the event happened, by Slack''s clock (event.event_ts, or event_time for an event without it).';
comment on column slack.event.event is 'The event as received, without NUL characters, lone surrogates and the secrets in file URLs.';
comment on column slack.event.error is 'Why the event failed: {"class", "message", "sqlstate", "diagnostics"}. Null for other outcomes.';
comment on column slack.event.event_id is 'Slack''s event_id. slack.delivery keeps it unique.';
comment on column slack.event.received_at is 'When the event was first received.';
comment on column slack.event.outcome is 'stored: the event changed tables, or a newer event had already done so; discarded: a rule discarded its message; audit: it changes no table; unrouted: its type is not known; failed: see error.';
comment on column slack.event.discard_id is 'Rule that discarded the message (slack.message_discard.id at that time).';
comment on column slack.event.team_id is 'Workspace that the event was delivered for.';
comment on column slack.event.channel_id is 'Channel that the event is about.';
comment on column slack.event.user_id is 'User that the event is about.';
comment on column slack.event.message_ts is 'ts of the message that the event is about.';
comment on column slack.event.replays is 'Replays of the event, oldest first, each with the outcome before it: [{"at", "outcome", "discard_id", "error"}]. Null where it was never replayed.';

comment on type slack.routed_event is 'An event on its way into the tables: its type, what it is about, and its effects (message, deletion, reaction, user, channel).';

comment on table slack.job_run is 'The runs of the jobs: why and where each began, and what it did. Kept for a year.';
comment on column slack.job_run.id is 'Order in which runs began.';
comment on column slack.job_run.job is 'users, channels, retention, backfill or search.';
comment on column slack.job_run.reason is 'schedule: its time had come; catch-up: its time came while no instance ran, or the run at that time failed; first start: it had never succeeded before; by hand: an operator started it; gap: a gap was found; pending: messages had no search document yet.';
comment on column slack.job_run.scheduled_for is 'Time of the schedule that the run is for. Null where the schedule did not start it.';
comment on column slack.job_run.instance is 'Instance that ran it: the application_name of its sessions, SERVICE_NAME@HOST:PID.';
comment on column slack.job_run.finished_at is 'When it ended. For a run that was cut off: when the next run noticed that. Null while it runs, and after a crash until the job''s next run.';
comment on column slack.job_run.outcome is 'done; incomplete: it came to its end, and error says what it could not do; failed; timed out; cancelled: the instance was stopped; cut off: its session was lost, for example in a crash; skipped: another session held the lock. Null while it runs.';
comment on column slack.job_run.rows_seen is 'Users or channels that Slack listed. For retention: rows deleted. For backfill: messages read. For search: messages that got a document.';
comment on column slack.job_run.rows_changed is 'Rows that it added or changed. For retention: rows deleted.';
comment on column slack.job_run.rows_failed is 'Rows that PostgreSQL refused. bad_rows has the first of them.';
comment on column slack.job_run.cursor is 'Slack''s cursor of the next page. If the run does not succeed, the next run continues from it.';
comment on column slack.job_run.error is 'Why the run did not succeed, or who held the lock.';
comment on column slack.job_run.bad_rows is 'The first rows that PostgreSQL refused: [{"id", "sqlstate"}].';

comment on table slack.import is 'Imports of export archives. An import that is not done continues when it is started again.';
comment on column slack.import.id is 'Order in which imports began. While an import runs, its session holds the advisory lock 1768778863 * 2^32 + id.';
comment on column slack.import.options is 'The options that decide which messages are imported: {"since", "until", "channels", "channel_map"}, and "root" and "workspace" if they were given. An import continues only with the same options.';
comment on column slack.import.since is 'Messages before this time are not imported. A duration counts back from the import''s first start.';
comment on column slack.import.until is 'Messages at this time or later are not imported.';
comment on column slack.import.instance is 'The program that began or continued it last: the application_name of its sessions.';
comment on column slack.import.resumed_at is 'When it was last continued.';
comment on column slack.import.finished_at is 'When it ended. Null while it runs, and after a crash.';
comment on column slack.import.outcome is 'done; failed: see error; cancelled: the operator stopped it; replaced: the operator began again. Null while it runs, and after a crash.';
comment on column slack.import.account is 'Result of the import: counts of records by outcome, in total and by channel. The outcomes add up to the records read.';

comment on table slack.import_file is 'The progress of an import in each file. It is written in the transaction of the messages, so that an import that continues counts no message twice.';
comment on column slack.import_file.import_id is 'The import.';
comment on column slack.import_file.size is 'Size in bytes. If size or crc has changed, the file is read again.';
comment on column slack.import_file.channel_id is 'Channel that the messages were stored in.';
comment on column slack.import_file.position is 'Number of records that are counted in account.';
comment on column slack.import_file.is_done is 'Whether all records of the file are counted.';
comment on column slack.import_file.account is 'Counts of these records by outcome.';
comment on column slack.import_file.updated_at is 'When the row was last written.';

comment on table slack.import_problem is 'Records and files of an import that were skipped because they are bad, or were repaired.';
comment on column slack.import_problem.import_id is 'The import.';

comment on table slack.import_content is 'Day files that were imported completely and without a problem. While their messages exist, or have been deleted since, importing such a file again changes nothing. So it is not read again.';
comment on column slack.import_content.channel_id is 'Channel that the messages were stored in.';
comment on column slack.import_content.times is 'ts of the messages, one for each record.';
comment on column slack.import_content.first_ts is 'The earliest ts.';
comment on column slack.import_content.last_ts is 'The latest ts.';
comment on column slack.import_content.account is 'What became of the records.';

comment on table slack.instance is 'Each start of the program, and its state. An instance updates its row every 5 s. An instance that has not been stopped and has not updated its row for 30 s has crashed, or cannot reach the database. Kept for 30 days.';
comment on column slack.instance.id is 'Order in which instances started.';
comment on column slack.instance.instance is 'application_name of its sessions: SERVICE_NAME@HOST:PID. A container can get the name of an earlier one.';
comment on column slack.instance.team_id is 'Workspace of its bot token. Null until Slack has named it.';
comment on column slack.instance.host is 'Name of the machine.';
comment on column slack.instance.pid is 'Number of the process.';
comment on column slack.instance.last_seen_at is 'When it last updated this row, by the database''s clock.';
comment on column slack.instance.stopped_at is 'When it was stopped. Null while it runs, and after a crash.';
comment on column slack.instance.status is 'Status of its connection to Slack: starting, connecting, connected, backing off, held back or stopped.';
comment on column slack.instance.status_since is 'Since when it has this status.';
comment on column slack.instance.database_problem is 'Why it writes events to its spool. Null while the database takes them.';
comment on column slack.instance.queue is 'Events that were read and not yet written.';
comment on column slack.instance.queue_limit is 'Largest number of events in the queue. While the queue is full, nothing is read from Slack.';
comment on column slack.instance.spool_problem is 'Why the spool takes no events either. No event is acknowledged meanwhile.';
comment on column slack.instance.events_per_second is 'Events received per second since the previous update of this row.';
comment on column slack.instance.ack_p99 is 'Seconds from reading an event to acknowledging it: the 99th percentile of recent events.';
comment on column slack.instance.start_id is 'Key that the program makes when it starts. With it, a repeated heartbeat finds this row. Null for older versions.';

comment on table slack.connection is 'Periods in which instances were connected to Slack, by the database''s clock. A time that no period covers is a row of slack.gap. Kept for 30 days; the newest period of a workspace stays.';
comment on column slack.connection.id is 'Order in which periods were written.';
comment on column slack.connection.connected_at is 'When Slack said hello. Connections that follow each other without a break are one period.';
comment on column slack.connection.seen_at is 'Until when the connection is known to have worked: when Slack was last heard and events were taken.';
comment on column slack.connection.ended_at is 'When its end was noticed. Null while it lasts, and after a crash.';
comment on column slack.connection.is_judged is 'Whether the time before the period has been checked for a gap.';
comment on column slack.connection.number is 'Number of the period within the instance. With it, a repeated heartbeat finds this row. Null for older versions.';

comment on table slack.gap is 'Periods in which events may be missing. A backfill closes a gap with messages from Slack''s history. Kept for a year after that.';
comment on column slack.gap.id is 'Order in which gaps were found.';
comment on column slack.gap.team_id is 'Workspace. Null where it is not known.';
comment on column slack.gap.reason is 'not connected: no instance was connected to Slack; queue stopped: an instance could neither write events nor spool them, so it acknowledged none; rate limited: Slack withheld events (app_rate_limited); late deliveries: events came more than 2 h late, so others may not have come at all; by hand: an operator asked for a backfill of this period, and no event of it is known to be missing; joined: the history of the channel before the app joined it.';
comment on column slack.gap.started_at is 'Since when events may be missing.';
comment on column slack.gap.ended_at is 'Until when events may be missing. Null while the gap goes on.';
comment on column slack.gap.channel_id is 'The only channel that the gap concerns. Null for all channels.';
comment on column slack.gap.instance is 'Instance that found the gap, or whose queue stopped.';
comment on column slack.gap.found_at is 'When the gap was first written.';
comment on column slack.gap.grown_at is 'When the gap last became longer. A gap that was found by its events can become longer for a while, so the job waits for an hour after this.';
comment on column slack.gap.begun_at is 'When a backfill of the gap first began. From then on its period does not change.';
comment on column slack.gap.tried_at is 'When a backfill of the gap last came to its end, or, if the reason is by hand, was stopped. If it did not close the gap, error says why.';
comment on column slack.gap.account is 'What became of the messages in Slack''s history so far: {"channels", "skipped_channels", "threads", "deleted", "messages": {"read", "inserted", "already_there", "updated", "discarded", "skipped"}}.';
comment on column slack.gap.error is 'Why the gap is not closed, or what the backfill could not do.';

comment on table slack.gap_channel is 'The progress of a gap''s backfill in each channel. It is written in the transaction of the messages, so that the next try continues there and counts no message twice. Deleted when the gap is closed.';
comment on column slack.gap_channel.reached is 'ts of the oldest message that was read, from the newest back. Null before the first page.';
comment on column slack.gap_channel.is_done is 'Whether its history and its threads were read, or the channel was skipped.';
comment on column slack.gap_channel.skipped is 'Why the channel was not read: Slack''s error code.';
comment on column slack.gap_channel.threads is 'Number of threads that were read.';
comment on column slack.gap_channel.deleted is 'Messages that are deleted in Slack.';
comment on column slack.gap_channel.account is 'What became of the channel''s messages.';

comment on table slack.gap_thread is 'Threads that a backfill still has to read.';
