-- Rules that PostgreSQL cannot evaluate on some messages: such a message is stored, and the failure is counted here.

create table slack.message_discard_failure
( rule_id int4 not null primary key
, failures int8 not null
, first_at timestamptz not null default now()
, last_at timestamptz not null default now()
, sqlstate text not null
);
comment on table slack.message_discard_failure is 'Rules that PostgreSQL could not evaluate on some messages. A rule does not match a message on which it fails.';
comment on column slack.message_discard_failure.rule_id is 'Number of the rule (slack.message_discard.id or slack.message_discard_off.id).';
comment on column slack.message_discard_failure.failures is 'Messages on which the rule failed.';
comment on column slack.message_discard_failure.first_at is 'When it first failed.';
comment on column slack.message_discard_failure.last_at is 'When it last failed.';
comment on column slack.message_discard_failure.sqlstate is 'SQLSTATE of the newest failure.';
