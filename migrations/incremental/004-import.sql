-- What imports of exports did, how far they are, and every name by which an export may call a channel.

create table slack.import
( id int8 not null primary key generated always as identity
, source text not null
, options jsonb not null
, since timestamptz
, until timestamptz
, instance text not null
, started_at timestamptz not null default now()
, resumed_at timestamptz
, finished_at timestamptz
, outcome text check (outcome in ('done', 'failed', 'cancelled', 'replaced'))
, error text
, account jsonb
, check ((outcome is null) = (finished_at is null))
);
create index import_source_idx on slack.import (source, id desc);
comment on table slack.import is 'Imports of export archives. One that is not done goes on where it was when it is started again.';
comment on column slack.import.id is 'Order of starting; while it runs, its session holds the advisory lock 1768778863 * 2^32 + id.';
comment on column slack.import.source is 'Path of the archive, on the machine that imported it.';
comment on column slack.import.options is 'What decides which messages are imported, as it was given: {"since", "until", "channels", "channel_map"}. Only the same options go on with an import.';
comment on column slack.import.since is 'Messages before this are not imported; a duration is counted from the first start.';
comment on column slack.import.until is 'Messages from this on are not imported.';
comment on column slack.import.instance is 'Who started or continued it last: application_name of its sessions.';
comment on column slack.import.started_at is 'When it began.';
comment on column slack.import.resumed_at is 'When it was last continued.';
comment on column slack.import.finished_at is 'When it ended. Null while it runs, and after a crash.';
comment on column slack.import.outcome is 'done; failed (see error); cancelled by the operator; replaced (the operator began anew). Null while it runs, and after a crash.';
comment on column slack.import.error is 'Why it failed.';
comment on column slack.import.account is 'What became of everything in the archive, in total and by channel.';

create table slack.import_file
( import_id int8 not null references slack.import on delete cascade
, path text not null
, size int8 not null
, crc int8 not null
, channel_id text not null
, position int4 not null
, is_done bool not null
, account jsonb not null
, error text
, updated_at timestamptz not null default now()
, primary key (import_id, path)
);
comment on table slack.import_file is 'How far each file of an import is; written in the transaction of its messages, so that a restart counts none twice.';
comment on column slack.import_file.import_id is 'Its import.';
comment on column slack.import_file.path is 'Path within the archive.';
comment on column slack.import_file.size is 'Size in bytes. With another size or crc the file is read again.';
comment on column slack.import_file.crc is 'CRC-32 of the content.';
comment on column slack.import_file.channel_id is 'Channel that its messages went to.';
comment on column slack.import_file.position is 'Records of the file that are accounted for.';
comment on column slack.import_file.is_done is 'True once all of the file is accounted for.';
comment on column slack.import_file.account is 'What became of these records.';
comment on column slack.import_file.error is 'Why the rest of the file could not be read.';
comment on column slack.import_file.updated_at is 'When it was last written.';

create table slack.import_problem
( import_id int8 not null references slack.import on delete cascade
, path text not null
, position int4
, reason text not null
);
create index import_problem_idx on slack.import_problem (import_id, path, position);
comment on table slack.import_problem is 'Records and files of an import that were skipped as bad, or repaired.';
comment on column slack.import_problem.import_id is 'Its import.';
comment on column slack.import_problem.path is 'Path within the archive.';
comment on column slack.import_problem.position is 'Number of the record in its file, from 1; null for the file itself.';
comment on column slack.import_problem.reason is 'What is wrong with it.';

create table slack.import_content
( channel_id text not null
, file_name text not null
, size int8 not null
, crc int8 not null
, times timestamptz[] not null
, first_ts timestamptz not null
, last_ts timestamptz not null
, account jsonb not null
, primary key (channel_id, file_name, size, crc)
);
comment on table slack.import_content is 'Contents of day files that were taken in whole and without a fault. As long as their messages are there, or deleted since, taking one in again changes nothing, so that it need not be read.';
comment on column slack.import_content.channel_id is 'Channel that the messages went to.';
comment on column slack.import_content.file_name is 'Name of the file without its folder.';
comment on column slack.import_content.size is 'Size in bytes.';
comment on column slack.import_content.crc is 'CRC-32 of the content.';
comment on column slack.import_content.times is 'ts of its messages, one for each record.';
comment on column slack.import_content.first_ts is 'The earliest of them.';
comment on column slack.import_content.last_ts is 'The latest of them.';
comment on column slack.import_content.account is 'What became of its records.';

create table slack.channel_name
( channel_name text not null
, channel_id text not null
, primary key (channel_name, channel_id)
);
comment on table slack.channel_name is 'Every name that a channel is known to have or to have had.';
comment on column slack.channel_name.channel_name is 'The name, without #.';
comment on column slack.channel_name.channel_id is 'Channel that has or had it; several channels may.';
insert into slack.channel_name (channel_name, channel_id)
select c.channel_name, c.id
from slack.channel c
where c.channel_name <> c.id;

comment on column slack.message.event_id is 'Event that this content came from; for an imported one "0", its length and digest. Decides between contents of one event_ts: a live one beats imported ones, a longer one shorter ones.';
