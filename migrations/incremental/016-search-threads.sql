-- A search finds the first messages of threads, too, to which Slack gives no thread_ts. Documents have a version, so that
-- the job "search" makes them anew when another release makes others; several languages can follow one another quickly.
alter table slack.message_search add column thread_ts timestamptz;
comment on column slack.message_search.thread_ts is 'Thread that the message replies to; null for other messages.';
create index message_search_thread_idx on slack.message_search (channel_id, thread_ts) where thread_ts is not null;
comment on index slack.message_search_thread_idx is 'Replies by thread: whether a message has replies.';

alter table slack.search_progress
  add column version int4 not null default 1
, add column previous_languages text[] not null default '{}';
update slack.search_progress set previous_languages = array_remove(array[previous_language], null);
alter table slack.search_progress drop column previous_language;
comment on column slack.search_progress.version is 'slack.document_version() of new documents.';
comment on column slack.search_progress.previous_languages is 'Languages of the documents that the job has not reached yet, beside the language.';
