-- Full-text search. PostgreSQL has no GIN index on TimescaleDB's columnstore, so the documents lie in an ordinary table.

-- Transactions that store messages by the functions of the version before end first. The job "search" makes documents
-- for their messages.
lock table only slack.message in share row exclusive mode;

create table slack.message_search
( ts timestamptz not null
, channel_id text not null
, document tsvector not null
, primary key (ts, channel_id)
)
-- Autovacuum also moves new entries of the index from its pending list, which each search reads, to its tree.
with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05);
create index message_search_document_idx on slack.message_search using gin (document) with (gin_pending_list_limit = 1024);
comment on table slack.message_search is 'What is searched: one document for each row of slack.message, written in the same transaction. Until slack.search_progress.finished_at is set, older messages have none yet.';
comment on column slack.message_search.ts is 'ts of the message.';
comment on column slack.message_search.channel_id is 'Channel of the message.';
comment on column slack.message_search.document is 'Words of the message with their positions, stemmed by the language of slack.search_progress, and what filters look for: in:CHANNEL, from:USER, has:file, has:link, has:thread, is:bot, is:edited, subtype:NAME. slack.search_document() makes it.';
comment on index slack.message_search_document_idx is 'Messages by word and by filter.';

create table slack.search_progress
( is_only bool not null default true primary key check (is_only)
, language text not null default 'english'
, previous_language text
, ts timestamptz not null default 'infinity'
, channel_id text not null default ''
, done int8 not null default 0
, total int8
, finished_at timestamptz
);
comment on table slack.search_progress is 'How far the job "search" is, which makes documents for messages that were stored before there was search, or in another language. It goes from the newest message to the oldest. One row.';
comment on column slack.search_progress.is_only is 'Always true, so that there is one row.';
comment on column slack.search_progress.language is 'Text search configuration of new documents (TIGER_SLACK_SEARCH_LANGUAGE).';
comment on column slack.search_progress.previous_language is 'Language of the documents that the job has not reached yet; null where they have no documents.';
comment on column slack.search_progress.ts is 'ts of the last message that the job has reached. Newer messages have documents in the language.';
comment on column slack.search_progress.channel_id is 'Channel of that message.';
comment on column slack.search_progress.done is 'Messages that the job has reached.';
comment on column slack.search_progress.total is 'Messages that there were when it began; null before.';
comment on column slack.search_progress.finished_at is 'When it had reached all messages; null while it has not.';
insert into slack.search_progress (finished_at)
select case when not exists (select from slack.message) then now() end;

-- PostgreSQL's configurations leave out stop words. Names and phrases are made of them, too, so these do not.
do $block$
declare
  language text;
begin
  for language in
    select c.cfgname
    from pg_catalog.pg_ts_config c
    join pg_catalog.pg_ts_dict d on d.dictname = c.cfgname || '_stem' and d.dictnamespace = c.cfgnamespace
    where c.cfgnamespace = 'pg_catalog'::regnamespace
    order by c.cfgname <> 'english', c.cfgname -- the others use the dictionary of English
  loop
    execute format('create text search dictionary slack.%I (template = pg_catalog.snowball, language = %I)', 'search_' || language || '_stem', language);
    execute format('create text search configuration slack.%I (copy = pg_catalog.%I)', 'search_' || language, language);
    execute format('alter text search configuration slack.%I alter mapping replace pg_catalog.english_stem with slack.search_english_stem', 'search_' || language);
    execute format('alter text search configuration slack.%I alter mapping replace pg_catalog.%I with slack.%I', 'search_' || language, language || '_stem', 'search_' || language || '_stem');
    execute format('comment on text search configuration slack.%I is %L', 'search_' || language, 'As pg_catalog.' || language || ', but it keeps stop words.');
  end loop;
end
$block$;

-- What the job "search" and permalinks need.
alter table slack.job_run drop constraint job_run_reason_check;
alter table slack.job_run add check (reason in ('schedule', 'catch-up', 'first start', 'by hand', 'gap', 'pending'));

create table slack.workspace
( team_id text not null primary key
, team text
, url text
, seen_at timestamptz not null default now()
);
comment on table slack.workspace is 'Workspaces whose messages are stored.';
comment on column slack.workspace.team_id is 'Slack''s id of the workspace (T… or E…).';
comment on column slack.workspace.team is 'Its name.';
comment on column slack.workspace.url is 'Its address, https://NAME.slack.com/, from which links to messages are made.';
comment on column slack.workspace.seen_at is 'When Slack last reported it (auth.test).';
