-- Transactions that count failures of the same rule do not wait for each other: each takes a row that is free.

alter table slack.message_discard_failure drop constraint message_discard_failure_pkey;
alter table slack.message_discard_failure add column id int8 not null primary key generated always as identity;
create index message_discard_failure_rule_idx on slack.message_discard_failure (rule_id);
comment on table slack.message_discard_failure is 'Rules that PostgreSQL could not evaluate on some messages. A rule does not match a message on which it fails. A rule has as many rows as transactions have counted at the same time; together they are its count.';
comment on column slack.message_discard_failure.id is 'Order of writing.';
comment on column slack.message_discard_failure.failures is 'Messages on which the rule failed, as far as this row counts them.';
comment on column slack.message_discard_failure.first_at is 'When this row first counted.';
comment on column slack.message_discard_failure.last_at is 'When this row last counted.';
comment on column slack.message_discard_failure.sqlstate is 'SQLSTATE of the newest failure that this row counts.';
