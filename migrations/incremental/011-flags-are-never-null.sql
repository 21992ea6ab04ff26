-- Readers write "where not is_archived", and a null would hide the row. What Slack has not told yet is false. The
-- column attributes still tells "not told yet" from "false", so merging loses nothing.
update slack."user" u set
  deleted = coalesce(u.deleted, false)
, is_bot = coalesce(u.is_bot, false)
where u.deleted is null
or u.is_bot is null;

update slack.channel c set
  is_archived = coalesce(c.is_archived, false)
, is_shared = coalesce(c.is_shared, false)
, is_ext_shared = coalesce(c.is_ext_shared, false)
, is_org_shared = coalesce(c.is_org_shared, false)
, is_deleted = coalesce(c.is_deleted, false)
where c.is_archived is null
or c.is_shared is null
or c.is_ext_shared is null
or c.is_org_shared is null
or c.is_deleted is null;

alter table slack."user"
  alter column deleted set default false
, alter column deleted set not null
, alter column is_bot set default false
, alter column is_bot set not null;

alter table slack.channel
  alter column is_archived set default false
, alter column is_archived set not null
, alter column is_shared set default false
, alter column is_shared set not null
, alter column is_ext_shared set default false
, alter column is_ext_shared set not null
, alter column is_org_shared set default false
, alter column is_org_shared set not null
, alter column is_deleted set default false
, alter column is_deleted set not null;
