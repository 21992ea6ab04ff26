insert into slack.channel_name (channel_name, channel_id) values ('legacy', 'COLD') on conflict do nothing;
insert into slack.import (source, options, since, instance, started_at, resumed_at, finished_at, outcome, error, account)
values
  ('/exports/2023.zip', '{"channels": []}', null, 'tiger-slack@host:2', '2023-12-01 10:00Z', null, '2023-12-01 10:05Z', 'done', null, '{"total": {"inserted": 1}}')
, ('/exports/half.zip', '{"since": "30d"}', '2023-11-01Z', 'tiger-slack@host:2', '2023-12-02 10:00Z', '2023-12-02 11:00Z', null, null, null, null);
insert into slack.import_file (import_id, path, size, crc, channel_id, position, is_done, account, error, updated_at)
values
  (1, 'operations/2023-11-01.json', 200, 4000000000, 'COPS', 1, true, '{"inserted": 1}', null, '2023-12-01 10:04Z')
, (2, 'operations/2023-11-02.json', 100, 7, 'COPS', 0, false, '{}', 'not JSON', '2023-12-02 11:00Z');
insert into slack.import_problem (import_id, path, position, reason) values (1, 'operations/2023-11-01.json', 2, 'no ts');
insert into slack.import_content (channel_id, file_name, size, crc, times, first_ts, last_ts, account)
values ('COPS', '2023-11-01.json', 200, 4000000000, '{2023-11-01 09:00:00.000100+00}', '2023-11-01 09:00:00.000100Z', '2023-11-01 09:00:00.000100Z', '{"inserted": 1}');
insert into slack.message (ts, channel_id, text, type, user_id, event_ts, event_id)
values ('2023-11-01 09:00:00.000100Z', 'COPS', 'An imported message', 'message', 'UBEN', '2023-11-01 09:00:00.000100Z', '0000000019abcdef');
