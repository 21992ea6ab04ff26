-- Names that only messages about a rename give to a channel. Imports do not look folders up by them.

alter table slack.channel_name add is_by_message bool not null default false;
comment on column slack.channel_name.is_by_message is
  'Whether only messages about a rename (subtypes channel_name, group_name) give this name. Imports find no channel by it, or a second import of an export could find more than the first.';
