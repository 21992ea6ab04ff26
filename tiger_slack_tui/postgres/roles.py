"""The SQL that makes the roles: an owner, who migrates, an ingester and a reader."""

from __future__ import annotations

from typing import Final

OWNER: Final = "tiger_slack_owner"
INGESTER: Final = "tiger_slack_ingester"
READER: Final = "tiger_slack_reader"

ROLES_SQL: Final = f"""\
-- Roles for tiger-slack. Run this in its database, as a role that may create roles. It can be run again.
--
--   {OWNER}     owns the schema slack; tiger-slack migrate connects as it
--   {INGESTER}  stores events and runs jobs; tiger-slack run connects as it, when the schema is current
--   {READER}    reads the tables and runs the functions for readers; for tiger-slack search, psql and other programs
--
-- Give each a password, for example in psql:   \\password {OWNER}
-- or let people use a role:                    grant {READER} to ana;

do $roles$
declare
  name text;
begin
  foreach name in array '{{{OWNER},{INGESTER},{READER}}}'::text[] loop
    if to_regrole(name) is null then
      execute format('create role %I login', name);
    end if;
    execute format('grant connect on database %I to %I', current_database(), name);
  end loop;
  execute format('grant create on database %I to {OWNER}', current_database());
end
$roles$;

-- What an earlier role made belongs to the owner from now on.
do $owner$
declare
  made record;
begin
  if to_regnamespace('slack') is null then
    return; -- tiger-slack migrate, as the owner, makes the schema and grants the rights
  end if;
  alter schema slack owner to {OWNER};
  for made in
    select 'table' as kind, c.oid::regclass::text as name
    from pg_class c
    where c.relnamespace = 'slack'::regnamespace
    and c.relkind in ('r', 'p', 'v') -- "alter table" takes views, too
    union all
    select 'routine', p.oid::regprocedure::text
    from pg_proc p
    where p.pronamespace = 'slack'::regnamespace
    union all
    select 'type', t.oid::regtype::text
    from pg_type t
    join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
    where t.typnamespace = 'slack'::regnamespace
    union all
    select 'text search dictionary', format('slack.%I', d.dictname)
    from pg_ts_dict d
    where d.dictnamespace = 'slack'::regnamespace
    union all
    select 'text search configuration', format('slack.%I', c.cfgname)
    from pg_ts_config c
    where c.cfgnamespace = 'slack'::regnamespace
  loop
    execute format('alter %s %s owner to {OWNER}', made.kind, made.name);
  end loop;
  set local role {OWNER};
  perform slack.grant_to_roles();
end
$owner$;
"""  # noqa: S608 our own names
"""Idempotent. Contains no password."""
