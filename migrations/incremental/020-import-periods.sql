-- For which time an import makes a channel complete follows from the files that were merged whole.
alter table slack.import_file
  add column first_ts timestamptz
, add column last_ts timestamptz
, add column is_complete bool not null default false;
comment on column slack.import_file.first_ts is 'ts of the oldest message that was merged. Null if there is none, or the content was merged before.';
comment on column slack.import_file.last_ts is 'ts of the newest message that was merged.';
comment on column slack.import_file.is_complete is 'Whether the whole file was merged: no record of it was bad, or left out because of its time. Discarded ones count as merged.';
