-- A heartbeat can be committed without its answer. The next one finds the same rows by keys that the program makes.

alter table slack.instance add column start_id uuid;
create unique index instance_start_idx on slack.instance (start_id);
comment on column slack.instance.start_id is 'Key that the program makes when it starts, so that a repeated heartbeat finds its row; null for versions before it.';

alter table slack.connection add column number int8;
drop index slack.connection_instance_idx;
create unique index connection_number_idx on slack.connection (instance_id, number);
comment on column slack.connection.number is 'Number of the period within the instance, so that a repeated heartbeat finds its row; null for versions before it.';
