insert into slack.message_discard_off (id, match, note, created_at, off_at, is_removed)
values (2, '$.subtype == "bot_message"', 'Bots', '2023-11-14Z', '2023-11-15Z', false), (3, '$.user == "UBEN"', null, null, '2023-11-16Z', true);
update slack.message_discard set created_at = '2023-11-14Z';
update slack.event set replays = '[{"at": "2023-11-15T00:00:00Z", "outcome": "stored", "discard_id": null, "error": null}]' where event_id = 'EvBot';
insert into slack.instance (instance, team_id, version, host, pid, started_at, last_seen_at, stopped_at, status, status_since, reason, database_problem, queue, queue_limit, spool_events, spool_bytes, spool_problem, received, acked, events_per_second, ack_p99)
values
  ('tiger-slack@host:1', 'T1', '0.4.0', 'host', 1, '2023-11-14 22:00Z', '2023-11-15 22:00Z', '2023-11-15 22:00Z', 'stopped', '2023-11-15 22:00Z', null, null, 0, 10000, 0, 0, null, 17, 17, 0.5, 0.02)
, ('tiger-slack@host:2', 'T1', '0.4.0', 'host', 2, '2023-11-15 23:00Z', '2023-11-16 02:01Z', null, 'connected', '2023-11-15 23:01Z', null, null, 3, 10000, 0, 0, null, 1, 1, 0.5, null);
insert into slack.connection (instance_id, connected_at, seen_at, ended_at, is_judged)
values (1, '2023-11-14 22:00Z', '2023-11-15 22:00Z', '2023-11-15 22:00Z', true), (2, '2023-11-15 23:01Z', '2023-11-16 02:01Z', null, true);
insert into slack.gap (team_id, reason, started_at, ended_at, channel_id, instance, found_at, grown_at, begun_at, tried_at, closed_at, account, error)
values
  ('T1', 'not connected', '2023-11-15 22:00Z', '2023-11-15 23:01Z', null, 'tiger-slack@host:2', '2023-11-15 23:01Z', '2023-11-15 23:01Z', '2023-11-16 00:02Z', '2023-11-16 00:02Z', null, '{"channels": 1, "messages": {"read": 1}}', 'Slack answered ratelimited')
, ('T1', 'by hand', '2023-10-01Z', '2023-11-01Z', null, 'tiger-slack@host:2', '2023-11-16Z', '2023-11-16Z', '2023-11-16Z', '2023-11-16Z', '2023-11-16Z', '{"channels": 1}', null);
insert into slack.gap_channel (gap_id, channel_id, reached, is_done, skipped, threads, deleted, account)
values (1, 'COPS', '2023-11-15 22:30Z', false, null, 1, 0, '{"read": 1}'), (1, 'COLD', null, true, 'not_in_channel', 0, 0, '{}');
insert into slack.gap_thread (gap_id, channel_id, thread_ts) values (1, 'COPS', '2023-11-14 22:13:20.000100Z');
insert into slack.job_run (job, reason, instance, started_at, finished_at, outcome) values ('backfill', 'gap', 'tiger-slack@host:2', '2023-11-16 00:02Z', '2023-11-16 00:03Z', 'done');
