-- has:thread also finds the first message of a thread. Slack gives it no thread_ts, so replies are looked up by thread.
-- Documents get a version: when a release changes what documents contain, the job "search" makes all of them anew.
-- The language can change again before the job has finished, so all earlier languages are kept until then.
alter table slack.message_search add column thread_ts timestamptz;
comment on column slack.message_search.thread_ts is 'The ts of the first message of the thread, for a reply; null for other messages.';
create index message_search_thread_idx on slack.message_search (channel_id, thread_ts) where thread_ts is not null;
comment on index slack.message_search_thread_idx is 'Replies by thread. It shows whether a message has replies.';

alter table slack.search_progress
  add column version int4 not null default 1
, add column previous_languages text[] not null default '{}';
update slack.search_progress set previous_languages = array_remove(array[previous_language], null);
alter table slack.search_progress drop column previous_language;
comment on column slack.search_progress.version is 'The slack.document_version() of documents that are made now.';
comment on column slack.search_progress.previous_languages is 'Earlier languages: documents that the job has not reached yet are in one of them.';
