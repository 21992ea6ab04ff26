-- The database of tiger-slack 0.4.0, made by: python scripts/upgrade_dump.py 0.4.0 a0fbe4a
set search_path = pg_catalog, public;
create schema slack;
CREATE TABLE slack.migration (
    file_name text NOT NULL,
    applied_at_version text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    body text NOT NULL
);
COMMENT ON TABLE slack.migration IS 'The migration files that were applied.';
COMMENT ON COLUMN slack.migration.file_name IS 'Path below the migrations directory.';
COMMENT ON COLUMN slack.migration.applied_at_version IS 'Version of the program that applied it.';
COMMENT ON COLUMN slack.migration.applied_at IS 'When it was applied; for an idempotent file, the last time.';
COMMENT ON COLUMN slack.migration.body IS 'Text of the file as it was applied.';
CREATE TABLE slack.version (
    version text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE slack.version IS 'The version of the program that the schema belongs to. One row.';
COMMENT ON COLUMN slack.version.version IS 'Version of the program that migrated the schema last.';
COMMENT ON COLUMN slack.version.at IS 'When it migrated the schema.';
ALTER TABLE ONLY slack.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (file_name);
CREATE UNIQUE INDEX version_one_row_idx ON slack.version USING btree ((true));
insert into slack.migration values ('idempotent/001-convert.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.to_timestamptz(ts text)
returns timestamptz
-- numeric, because a float loses the last digits; one microsecond is what both sides can tell apart
return timestamptz 'epoch' + (ts::numeric * 1000000)::int8 * interval '1 microsecond';
comment on function slack.to_timestamptz(text) is
  'Slack''s "seconds.microseconds" as a time, exact to the microsecond. Raises where the text is no number.';

create or replace function slack.to_uuid(value text)
returns uuid
immutable parallel safe
return case when value ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then value::uuid end;
comment on function slack.to_uuid(text) is 'The text as a uuid; null where it is none.';

create or replace function slack.to_bool(value jsonb)
returns bool
immutable parallel safe
return case value when 'true' then true when 'false' then false end;
comment on function slack.to_bool(jsonb) is 'JSON true or false; null for anything else.';

create or replace function slack.present(value jsonb)
returns jsonb
immutable parallel safe
return nullif(value, 'null');
comment on function slack.present(jsonb) is 'The value, and SQL null for JSON null.';

create or replace function slack.merge_attributes(a jsonb, b jsonb)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(k.key, greatest(a -> k.key, b -> k.key)), '{}')
  from (select jsonb_object_keys(a) union select jsonb_object_keys(b)) k (key)
);
comment on function slack.merge_attributes(jsonb, jsonb) is
  'The newer of both for each attribute. Attributes are {"name": [time, event_ts, value]}; jsonb compares such arrays from the left, so the result is the same in any order and with any repeats.';

create or replace function slack.versioned(attributes jsonb, version numeric, event_ts numeric)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(key, jsonb_build_array(version, event_ts, value)), '{}')
  from jsonb_each(attributes)
  where value <> 'null'
);
comment on function slack.versioned(jsonb, numeric, numeric) is
  '{"name": value} as attributes of one recency, without those that are null: what a payload does not say changes nothing.';

create or replace function slack.to_ts(ts timestamptz)
returns text
-- extract() of a timestamptz depends on no setting when it asks for the epoch
immutable parallel safe
return extract(epoch from ts)::text;
comment on function slack.to_ts(timestamptz) is 'A time as Slack''s "seconds.microseconds".';
$migration$);
insert into slack.migration values ('idempotent/002-users.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.user_attributes(event jsonb)
returns jsonb
immutable parallel safe
return
( select slack.versioned
  ( jsonb_build_object
    ( 'team_id', u -> 'team_id'
    , 'user_name', u -> 'name'
    , 'real_name', coalesce(slack.present(u -> 'real_name'), p -> 'real_name')
    , 'display_name', p -> 'display_name'
    , 'real_name_normalized', p -> 'real_name_normalized'
    , 'display_name_normalized', p -> 'display_name_normalized'
    , 'email', p -> 'email'
    , 'tz', u -> 'tz'
    , 'tz_label', u -> 'tz_label'
    , 'tz_offset', u -> 'tz_offset'
    , 'deleted', u -> 'deleted'
    , 'is_bot', u -> 'is_bot'
    , 'updated', u -> 'updated'
    )
  , coalesce((u ->> 'updated')::numeric, event_ts, 0)
  , coalesce(event_ts, 0)
  )
  from (values (event -> 'user', event -> 'user' -> 'profile', (event ->> 'event_ts')::numeric)) v (u, p, event_ts)
);
comment on function slack.user_attributes(jsonb) is
  'What {"user": {…}, "event_ts": …} says of the user, with its recency: user.updated, then event_ts.';

create or replace function slack.upsert_user(event jsonb)
returns bool
language plpgsql
as $func$
declare
  user_id constant text := event -> 'user' ->> 'id';
  merged jsonb;
  is_new bool;
begin
  insert into slack."user" (id, user_name)
  values (user_id, user_id)
  on conflict (id) do nothing;
  is_new := found;

  select slack.merge_attributes(u.attributes, slack.user_attributes(event))
  into strict merged
  from slack."user" u
  where u.id = user_id
  for update;

  update slack."user" u set
    attributes = merged
  , team_id = coalesce(merged -> 'team_id' ->> 2, u.team_id)
  , user_name = coalesce(merged -> 'user_name' ->> 2, u.user_name)
  , real_name = coalesce(merged -> 'real_name' ->> 2, u.real_name)
  , display_name = coalesce(merged -> 'display_name' ->> 2, u.display_name)
  , real_name_normalized = coalesce(merged -> 'real_name_normalized' ->> 2, u.real_name_normalized)
  , display_name_normalized = coalesce(merged -> 'display_name_normalized' ->> 2, u.display_name_normalized)
  , email = coalesce(merged -> 'email' ->> 2, u.email)
  , tz = coalesce(merged -> 'tz' ->> 2, u.tz)
  , tz_label = coalesce(merged -> 'tz_label' ->> 2, u.tz_label)
  , tz_offset = coalesce((merged -> 'tz_offset' ->> 2)::numeric::int4, u.tz_offset)
  , deleted = coalesce((merged -> 'deleted' ->> 2)::bool, u.deleted)
  , is_bot = coalesce((merged -> 'is_bot' ->> 2)::bool, u.is_bot)
  , updated = coalesce((merged -> 'updated' ->> 2)::numeric::int8, u.updated)
  where u.id = user_id
  and u.attributes is distinct from merged;
  return is_new or found;
end
$func$;
comment on function slack.upsert_user(jsonb) is
  'Stores {"user": {…}}: a user_change, team_join or user_profile_changed event, or a user of users.list. Each attribute keeps its newest value; what the payload leaves out stays as it is. Returns whether that changed anything.';
$migration$);
insert into slack.migration values ('idempotent/003-channels.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.channel_attributes(event jsonb)
returns jsonb
immutable parallel safe
return
( select case
    when jsonb_typeof(c) = 'object' then
      slack.versioned
      ( jsonb_build_object
        ( 'channel_name', c -> 'name'
        , 'is_archived', c -> 'is_archived'
        , 'is_shared', c -> 'is_shared'
        , 'is_ext_shared', c -> 'is_ext_shared'
        , 'is_org_shared', c -> 'is_org_shared'
        , 'is_member', c -> 'is_member'
        , 'updated', c -> 'updated'
        )
      , version
      , coalesce(event_ts, 0)
      )
      -- topic and purpose tell when they were set, which can be later than what the channel says of itself
      || slack.versioned
      ( jsonb_build_object('topic', c -> 'topic' -> 'value')
      , greatest(version, (c -> 'topic' ->> 'last_set')::numeric)
      , coalesce(event_ts, 0)
      )
      || slack.versioned
      ( jsonb_build_object('purpose', c -> 'purpose' -> 'value')
      , greatest(version, (c -> 'purpose' ->> 'last_set')::numeric)
      , coalesce(event_ts, 0)
      )
    else
      slack.versioned
      ( case coalesce(event ->> 'subtype', event ->> 'type')
          when 'channel_topic' then jsonb_build_object('topic', event -> 'topic')
          when 'group_topic' then jsonb_build_object('topic', event -> 'topic')
          when 'channel_purpose' then jsonb_build_object('purpose', event -> 'purpose')
          when 'group_purpose' then jsonb_build_object('purpose', event -> 'purpose')
          when 'channel_name' then jsonb_build_object('channel_name', event -> 'name')
          when 'group_name' then jsonb_build_object('channel_name', event -> 'name')
          when 'channel_archive' then '{"is_archived": true}'
          when 'group_archive' then '{"is_archived": true}'
          when 'channel_unarchive' then '{"is_archived": false}'
          when 'group_unarchive' then '{"is_archived": false}'
          when 'channel_deleted' then '{"is_deleted": true}'
          when 'group_deleted' then '{"is_deleted": true}'
          when 'channel_left' then '{"is_member": false}'
          when 'group_left' then '{"is_member": false}'
          when 'channel_shared' then '{"is_shared": true, "is_ext_shared": true}'
          when 'channel_unshared' then jsonb_build_object
            ( 'is_shared', coalesce((event ->> 'is_ext_shared')::bool, false)
            , 'is_ext_shared', coalesce((event ->> 'is_ext_shared')::bool, false)
            )
          when 'channel_id_changed' then jsonb_build_object('successor_id', event -> 'new_channel_id')
          else '{}'
        end
      , coalesce(event_ts, 0)
      , coalesce(event_ts, 0)
      )
    end
  from
  ( select
      c
    , event_ts
    , coalesce
      ( case when updated > 1e11 then updated / 1000 else updated end -- milliseconds, where Slack sends it
      , event_ts
      , (c ->> 'created')::numeric
      , 0
      ) as version
    from
    ( select
        event -> 'channel' as c
      , coalesce(event ->> 'event_ts', event ->> 'ts')::numeric as event_ts
      , case when jsonb_typeof(event -> 'channel') = 'object' then (event -> 'channel' ->> 'updated')::numeric end as updated
    ) _
  ) _
);
comment on function slack.channel_attributes(jsonb) is
  'What an event, or {"channel": {…}} of conversations.list, says of the channel, with its recency: channel.updated, else event_ts, else created.';

create or replace function slack.channel_names(event jsonb)
returns setof text
language sql immutable parallel safe
as $func$
  select n.channel_name
  from
  ( select event -> 'channel' ->> 'name'
    union
    select jsonb_array_elements_text
      (case jsonb_typeof(event -> 'channel' -> 'previous_names') when 'array' then event -> 'channel' -> 'previous_names' end)
    union
    select v.value
    from (values (event ->> 'name'), (event ->> 'old_name')) v (value)
    where event ->> 'subtype' in ('channel_name', 'group_name')
  ) n (channel_name)
  where n.channel_name <> ''
$func$;
comment on function slack.channel_names(jsonb) is 'The names that an event, or {"channel": {…}}, gives to its channel, now or before.';

create or replace function slack.upsert_channel(event jsonb)
returns bool
language plpgsql
as $func$
declare
  channel_id constant text := coalesce
  ( event ->> 'old_channel_id'
  , case jsonb_typeof(event -> 'channel') when 'object' then event -> 'channel' ->> 'id' else event ->> 'channel' end
  );
  merged jsonb;
  is_new bool;
begin
  insert into slack.channel (id, channel_name)
  values (channel_id, channel_id)
  on conflict (id) do nothing;
  is_new := found;

  select slack.merge_attributes(c.attributes, slack.channel_attributes(event))
  into strict merged
  from slack.channel c
  where c.id = channel_id
  for update;

  update slack.channel c set
    attributes = merged
  , channel_name = coalesce(merged -> 'channel_name' ->> 2, c.channel_name)
  , topic = coalesce(merged -> 'topic' ->> 2, c.topic)
  , purpose = coalesce(merged -> 'purpose' ->> 2, c.purpose)
  , is_archived = coalesce((merged -> 'is_archived' ->> 2)::bool, c.is_archived)
  , is_shared = coalesce((merged -> 'is_shared' ->> 2)::bool, c.is_shared)
  , is_ext_shared = coalesce((merged -> 'is_ext_shared' ->> 2)::bool, c.is_ext_shared)
  , is_org_shared = coalesce((merged -> 'is_org_shared' ->> 2)::bool, c.is_org_shared)
  , is_deleted = coalesce((merged -> 'is_deleted' ->> 2)::bool, c.is_deleted)
  , is_member = coalesce((merged -> 'is_member' ->> 2)::bool, c.is_member)
  , successor_id = coalesce(merged -> 'successor_id' ->> 2, c.successor_id)
  , updated = coalesce((merged -> 'updated' ->> 2)::numeric::int8, c.updated)
  where c.id = channel_id
  and c.attributes is distinct from merged;
  is_new := is_new or found;

  insert into slack.channel_name (channel_name, channel_id)
  select n.channel_name, channel_id
  from slack.channel_names(event) n (channel_name)
  order by n.channel_name
  on conflict do nothing;
  return is_new;
end
$func$;
comment on function slack.upsert_channel(jsonb) is
  'Stores {"channel": {…}} of conversations.list, or a channel event of any kind. Each attribute keeps its newest value; what the payload leaves out stays as it is. Returns whether that changed anything.';
$migration$);
insert into slack.migration values ('idempotent/004-messages.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.message_content(event jsonb)
returns jsonb
immutable parallel safe
return case event ->> 'subtype'
  when 'message_changed' then
    (event -> 'message') || jsonb_build_object
    ( 'channel', event -> 'channel'
    , 'channel_type', event -> 'channel_type'
    , 'event_ts', event -> 'event_ts'
    )
  else event
end;
comment on function slack.message_content(jsonb) is
  'The message that an event carries: the event itself, or the nested message of a message_changed with what only the event knows of it.';

create or replace function slack.discarded_by(message jsonb)
returns int4
language sql stable parallel safe
as $func$
  select d.id
  from slack.message_discard d
  where jsonb_path_match(message, d.match, silent => true)
  order by d.id
  limit 1
$func$;
comment on function slack.discarded_by(jsonb) is 'The first rule that discards the message; null where none does.';

create or replace function slack.reactions(channel_id text, ts timestamptz)
returns jsonb
language sql stable parallel safe
as $func$
  select jsonb_agg(jsonb_build_object('user_id', r.user_id, 'reaction', r.reaction) order by r.event_ts, r.user_id collate "C", r.reaction collate "C")
  from slack.reaction r
  where r.channel_id = reactions.channel_id
  and r.ts = reactions.ts
  and r.is_present
$func$;
comment on function slack.reactions(text, timestamptz) is 'The reactions of a message that are present now, oldest first; null where there are none.';

create or replace function slack.message_bucket(channel_id text, ts timestamptz)
returns int4
immutable parallel safe
return hashtextextended(channel_id, extract(epoch from ts)::int8)::bit(7)::int4;
comment on function slack.message_bucket(text, timestamptz) is 'The lock that a message shares with a 128th of all others.';

create or replace function slack.lock_messages(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  -- Whoever writes about a message holds its bucket until commit: a message and its deletion or reaction, written by two
  -- instances at once, would not see each other. Buckets bound the number of locks; their order excludes deadlocks.
  perform pg_advisory_xact_lock(1936482657, b.bucket)
  from
  ( select distinct slack.message_bucket(i.channel_id, i.message_ts) as bucket
    from unnest(items) i
    where i.effects && '{message,deletion,reaction}'
    and i.channel_id is not null
    and i.message_ts is not null
    order by bucket
  ) b;
end
$func$;
comment on function slack.lock_messages(slack.routed_event[]) is 'Serialises transactions that write about the same messages.';

create or replace function slack.delete_messages(items slack.routed_event[])
returns void
language plpgsql
-- Plans with the values known exclude all other chunks, and decompress no more than the one message.
set plan_cache_mode = force_custom_plan
as $func$
declare
  i slack.routed_event;
begin
  foreach i in array items loop
    insert into slack.tombstone as t (channel_id, ts, deleted_at)
    values (i.channel_id, i.message_ts, i.event_ts)
    on conflict (channel_id, ts) do update set deleted_at = excluded.deleted_at
    where excluded.deleted_at < t.deleted_at;

    delete from slack.message m
    where m.channel_id = i.channel_id
    and m.ts = i.message_ts;
  end loop;
end
$func$;
comment on function slack.delete_messages(slack.routed_event[]) is 'Deletes messages for good: a tombstone keeps late originals and edits away.';

create or replace function slack.store_reactions(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  insert into slack.reaction as r (channel_id, ts, user_id, reaction, is_present, event_ts, event_id)
  select distinct on (i.channel_id, i.message_ts, i.user_id, i.event ->> 'reaction')
    i.channel_id
  , i.message_ts
  , i.user_id
  , i.event ->> 'reaction'
  , i.type = 'reaction_added'
  , i.event_ts
  , i.event_id
  from unnest(items) i
  order by i.channel_id, i.message_ts, i.user_id, i.event ->> 'reaction', i.event_ts desc, i.event_id desc
  on conflict (channel_id, ts, user_id, reaction) do update set
    is_present = excluded.is_present
  , event_ts = excluded.event_ts
  , event_id = excluded.event_id
  where (excluded.event_ts, excluded.event_id) > (r.event_ts, r.event_id);
end
$func$;
comment on function slack.store_reactions(slack.routed_event[]) is 'Keeps the newest add or removal of each reaction.';

create or replace function slack.show_reactions(items slack.routed_event[])
returns void
language plpgsql
set plan_cache_mode = force_custom_plan
as $func$
declare
  k record;
  present jsonb;
begin
  for k in select distinct i.channel_id, i.message_ts from unnest(items) i loop
    present := slack.reactions(k.channel_id, k.message_ts);
    update slack.message m set reactions = present
    where m.channel_id = k.channel_id
    and m.ts = k.message_ts
    and m.reactions is distinct from present;
  end loop;
end
$func$;
comment on function slack.show_reactions(slack.routed_event[]) is 'Brings slack.message.reactions up to slack.reaction for the messages that the events are about.';

create or replace function slack.store_messages(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  insert into slack.message as m
  ( ts, channel_id, team, text, type, user_id, blocks, event_ts, thread_ts, channel_type, client_msg_id, parent_user_id
  , updated_at, bot_id, attachments, files, app_id, subtype, trigger_id, workflow_id, display_as_bot, upload, x_files
  , icons, language, edited, reactions, event_id
  )
  select distinct on (i.channel_id, i.message_ts)
    i.message_ts
  , i.channel_id
  , c.content ->> 'team'
  , c.content ->> 'text'
  , c.content ->> 'type'
  , c.content ->> 'user'
  , slack.present(c.content -> 'blocks')
  , i.event_ts
  , slack.to_timestamptz(c.content ->> 'thread_ts')
  , c.content ->> 'channel_type'
  , slack.to_uuid(c.content ->> 'client_msg_id')
  , c.content ->> 'parent_user_id'
  , case when i.subtype = 'message_changed' then i.event_ts end
  , c.content ->> 'bot_id'
  , slack.present(c.content -> 'attachments')
  , slack.present(c.content -> 'files')
  , c.content ->> 'app_id'
  , c.content ->> 'subtype'
  , c.content ->> 'trigger_id'
  , c.content ->> 'workflow_id'
  , slack.to_bool(c.content -> 'display_as_bot')
  , slack.to_bool(c.content -> 'upload')
  , slack.present(c.content -> 'x_files')
  , slack.present(c.content -> 'icons')
  , slack.present(c.content -> 'language')
  , slack.present(c.content -> 'edited')
  , slack.reactions(i.channel_id, i.message_ts)
  , i.event_id
  from unnest(items) i
  cross join lateral (select slack.message_content(i.event) as content offset 0) c
  where not exists
  ( select from slack.tombstone t
    where t.channel_id = i.channel_id
    and t.ts = i.message_ts
  )
  order by i.channel_id, i.message_ts, i.event_ts desc, i.event_id desc
  on conflict (channel_id, ts) do update set
    team = excluded.team
  , text = excluded.text
  , type = excluded.type
  , user_id = excluded.user_id
  , blocks = excluded.blocks
  , event_ts = excluded.event_ts
  , thread_ts = excluded.thread_ts
  , channel_type = excluded.channel_type
  , client_msg_id = excluded.client_msg_id
  , parent_user_id = excluded.parent_user_id
  , updated_at = excluded.updated_at
  , bot_id = excluded.bot_id
  , attachments = excluded.attachments
  , files = excluded.files
  , app_id = excluded.app_id
  , subtype = excluded.subtype
  , trigger_id = excluded.trigger_id
  , workflow_id = excluded.workflow_id
  , display_as_bot = excluded.display_as_bot
  , upload = excluded.upload
  , x_files = excluded.x_files
  , icons = excluded.icons
  , language = excluded.language
  , edited = excluded.edited
  , event_id = excluded.event_id
  where (excluded.event_ts, coalesce(excluded.event_id, '')) > (coalesce(m.event_ts, '-infinity'), coalesce(m.event_id, ''));
end
$func$;
comment on function slack.store_messages(slack.routed_event[]) is
  'Stores the newest content of each message, except of deleted ones. The caller holds the locks of slack.lock_messages().';

create or replace function slack.insert_message(message jsonb)
returns text
language plpgsql
as $func$
declare
  items constant slack.routed_event[] := array
  [ row
    ( '' -- any event of the same event_ts is better known
    , slack.to_timestamptz(coalesce(message ->> 'event_ts', message ->> 'ts'))
    , now()
    , 'message'
    , message ->> 'subtype'
    , '{message}'
    , 'stored'
    , message ->> 'team'
    , message ->> 'channel'
    , message ->> 'user'
    , slack.to_timestamptz(message ->> 'ts')
    , message
    , null
    )::slack.routed_event
  ];
begin
  if slack.discarded_by(message) is not null then
    return 'discarded';
  end if;
  perform slack.lock_messages(items);
  perform slack.store_messages(items);
  return 'stored';
end
$func$;
comment on function slack.insert_message(jsonb) is
  'Stores a message ({"channel", "ts", …}) by the rules of live events: the newest content wins, deleted ones stay deleted. Returns "stored", or "discarded" where a rule of slack.message_discard matches.';
$migration$);
insert into slack.migration values ('idempotent/005-ingest.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.routed_events(batch jsonb)
returns slack.routed_event[]
language sql stable parallel safe
as $func$
  select array
  ( select row
    ( r.event_id
    , slack.to_timestamptz(r.event_ts)
    , r.received_at
    , r.type
    , r.subtype
    , r.effects
    , r.outcome
    , r.team_id
    , r.channel_id
    , r.user_id
    , slack.to_timestamptz(r.message_ts)
    , r.event
    , r.error
    )::slack.routed_event
    from jsonb_to_recordset(batch) as r
    ( event_id text, event_ts text, received_at timestamptz, type text, subtype text, effects text[], outcome text
    , team_id text, channel_id text, user_id text, message_ts text, event jsonb, error jsonb
    )
  )
$func$;
comment on function slack.routed_events(jsonb) is 'The events of an array of objects with the fields of slack.routed_event, times of Slack as its text.';

create or replace function slack.first_deliveries(items slack.routed_event[])
returns slack.routed_event[]
language plpgsql
as $func$
declare
  first_ids text[];
begin
  with received as
  ( select i.event_id, min(i.event_ts) as event_ts, min(i.received_at) as first_at, max(i.received_at) as last_at, count(*)::int4 as n
    from unnest(items) i
    group by i.event_id
  )
  , counted as
  ( insert into slack.delivery as d (event_id, event_ts, received_at, last_received_at, deliveries)
    select r.event_id, r.event_ts, r.first_at, r.last_at, r.n
    from received r
    order by r.event_id
    on conflict (event_id) do update set
      deliveries = d.deliveries + excluded.deliveries
    , last_received_at = greatest(d.last_received_at, excluded.last_received_at)
    returning d.event_id, d.deliveries
  )
  select array_agg(c.event_id)
  into first_ids
  from counted c
  join received r on r.event_id = c.event_id
  where r.n = c.deliveries; -- nothing was counted before this batch

  return array
  ( select distinct on (i.event_id) i
    from unnest(items) i
    where i.event_id = any (first_ids)
    order by i.event_id, i.event_ts
  );
end
$func$;
comment on function slack.first_deliveries(slack.routed_event[]) is
  'Counts the deliveries in slack.delivery and returns the events that had none before, each once.';

create or replace function slack.apply_effects(items slack.routed_event[], discarded jsonb default '{}')
returns void
language plpgsql
as $func$
declare
  deletions constant slack.routed_event[] := array(select i from unnest(items) i where 'deletion' = any (i.effects));
  reactions constant slack.routed_event[] := array(select i from unnest(items) i where 'reaction' = any (i.effects));
  messages constant slack.routed_event[] := array(select i from unnest(items) i where 'message' = any (i.effects) and not discarded ? i.event_id);
  item slack.routed_event;
begin
  if cardinality(deletions) > 0 then
    perform slack.delete_messages(deletions);
  end if;
  if cardinality(reactions) > 0 then
    perform slack.store_reactions(reactions);
  end if;
  if cardinality(messages) > 0 then
    perform slack.store_messages(messages); -- new messages show the reactions kept so far
  end if;
  if cardinality(reactions) > 0 then
    perform slack.show_reactions(reactions);
  end if;
  for item in select i.* from unnest(items) i where 'user' = any (i.effects) order by i.event -> 'user' ->> 'id' loop
    perform slack.upsert_user(item.event);
  end loop;
  for item in select i.* from unnest(items) i where 'channel' = any (i.effects) order by i.channel_id loop
    perform slack.upsert_channel(item.event);
  end loop;
end
$func$;
comment on function slack.apply_effects(slack.routed_event[], jsonb) is
  'Does to the tables what the events say, but stores no message of an event that is a key of discarded. Idempotent and commutative: any order and repetition ends in the same state. The caller holds the locks of slack.lock_messages().';

create or replace function slack.discards(items slack.routed_event[])
returns jsonb
language plpgsql stable
as $func$
begin
  if not exists (select from slack.message_discard) then
    return '{}';
  end if;
  return
  ( select coalesce(jsonb_object_agg(d.event_id, d.rule), '{}')
    from
    ( select i.event_id, slack.discarded_by(slack.message_content(i.event)) as rule
      from unnest(items) i
      where 'message' = any (i.effects)
    ) d
    where d.rule is not null
  );
end
$func$;
comment on function slack.discards(slack.routed_event[]) is 'The messages among the events that a rule discards, as {event_id: rule}.';

create or replace function slack.ingest(batch jsonb)
returns jsonb
language plpgsql
as $func$
declare
  items slack.routed_event[];
  discarded jsonb;
begin
  -- Locks are taken in one order everywhere, so that instances cannot deadlock:
  -- messages, then event_ids, users and channels, each in their sorted order.
  items := slack.routed_events(batch);
  perform slack.lock_messages(items);
  items := slack.first_deliveries(items);

  discarded := slack.discards(items);

  insert into slack.event
  ( event_ts, type, subtype, event, error, event_id, received_at, outcome, discard_id, team_id, channel_id, user_id, message_ts )
  select
    i.event_ts
  , i.type
  , i.subtype
  , i.event
  , slack.present(i.error)
  , i.event_id
  , i.received_at
  , case when discarded ? i.event_id then 'discarded' else i.outcome end
  , (discarded ->> i.event_id)::int4
  , i.team_id
  , i.channel_id
  , i.user_id
  , i.message_ts
  from unnest(items) i;

  perform slack.apply_effects(items, discarded);
  perform slack.note_gaps(items);

  return jsonb_build_object
  ( 'first', (select coalesce(jsonb_agg(i.event_id), '[]') from unnest(items) i)
  , 'discarded', discarded
  );
end
$func$;
comment on function slack.ingest(jsonb) is
  'Takes a batch of routed events (see slack.routed_events()) into the tables: for each first delivery an audit row and its effects. Returns {"first": [event_id], "discarded": {event_id: rule}}. One call is one transaction of the ingestion.';
$migration$);
insert into slack.migration values ('idempotent/006-import.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.lock_for_import(weeks jsonb)
returns void
language plpgsql
as $func$
begin
  -- One import at a time writes to a week of a channel, so that two of them see each other's messages and reactions.
  perform pg_advisory_xact_lock(1768778863, k.key)
  from
  ( select distinct hashtextextended(c.id, w.week::int8)::bit(31)::int4 as key
    from jsonb_each(weeks) c (id, weeks)
    cross join lateral jsonb_array_elements_text(c.weeks) w (week)
    order by key
  ) k;
  -- Live events wait for the import's commit, and the import for theirs; imports share. A batch has messages in nearly
  -- all buckets of slack.message_bucket(), so it takes them all.
  perform pg_advisory_xact_lock_shared(1936482657, b.bucket)
  from (select generate_series(0, 127) as bucket order by bucket) b;
end
$func$;
comment on function slack.lock_for_import(jsonb) is
  'Takes the locks under which an import may look at messages of these weeks since 1970, {"channel_id": [week, …]}, and write what is missing.';
$migration$);
insert into slack.migration values ('idempotent/007-audit.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.stored_message(m slack.message)
returns jsonb
immutable parallel safe
return jsonb_strip_nulls
( jsonb_build_object
  ( 'type', m.type
  , 'subtype', m.subtype
  , 'channel', m.channel_id
  , 'channel_type', m.channel_type
  , 'user', m.user_id
  , 'bot_id', m.bot_id
  , 'app_id', m.app_id
  , 'team', m.team
  , 'text', m.text
  , 'ts', slack.to_ts(m.ts)
  , 'event_ts', slack.to_ts(m.event_ts)
  , 'thread_ts', slack.to_ts(m.thread_ts)
  , 'parent_user_id', m.parent_user_id
  , 'client_msg_id', m.client_msg_id
  , 'blocks', m.blocks
  , 'attachments', m.attachments
  , 'files', m.files
  , 'x_files', m.x_files
  , 'icons', m.icons
  , 'language', m.language
  , 'edited', m.edited
  , 'trigger_id', m.trigger_id
  , 'workflow_id', m.workflow_id
  , 'display_as_bot', m.display_as_bot
  , 'upload', m.upload
  )
);
comment on function slack.stored_message(slack.message) is 'A stored message in Slack''s form, as far as its columns go: what rules see of it.';

create or replace function slack.replay(batch jsonb)
returns jsonb
language plpgsql
-- Plans with the values known exclude all other chunks, and decompress no more than the one event.
set plan_cache_mode = force_custom_plan
as $func$
declare
  items constant slack.routed_event[] := slack.routed_events(batch);
  present slack.routed_event[] := '{}';
  discarded jsonb;
  outcomes jsonb := '{}';
  k record;
  i slack.routed_event;
  now_is text;
begin
  -- One replay at a time, so that two need no order among the rows of slack.event; the rest as in slack.ingest().
  perform pg_advisory_xact_lock(1919250527);
  perform slack.lock_messages(items);
  discarded := slack.discards(items);

  for k in
    select n as item, r.id, r.kept_channel_id
    from unnest(items) n
    join jsonb_to_recordset(batch) r (event_id text, id int8, kept_channel_id text) on r.event_id = n.event_id
  loop
    i := k.item;
    update slack.event e set
      -- what is stored stays stored: a rule keeps away what is not there yet
      outcome = case when e.outcome = 'stored' then 'stored' when discarded ? i.event_id then 'discarded' else i.outcome end
    , discard_id = case when e.outcome = 'stored' then null else (discarded ->> i.event_id)::int4 end
    , error = case when e.outcome = 'stored' then null else slack.present(i.error) end
      -- what fails again is known no better than before
    , type = case when i.outcome = 'failed' then e.type else i.type end
    , subtype = case when i.outcome = 'failed' then e.subtype else i.subtype end
    , event = case when i.outcome <> 'failed' and e.event ? 'unstorable' then i.event else e.event end
    , channel_id = case when i.outcome = 'failed' then e.channel_id else i.channel_id end
    , user_id = case when i.outcome = 'failed' then e.user_id else i.user_id end
    , message_ts = case when i.outcome = 'failed' then e.message_ts else i.message_ts end
    , replays = coalesce(e.replays, '[]') || jsonb_strip_nulls
      (jsonb_build_object('at', now(), 'outcome', e.outcome, 'discard_id', e.discard_id, 'error', e.error))
    where e.event_ts = i.event_ts
    and e.id = k.id
    and (e.channel_id = k.kept_channel_id or k.kept_channel_id is null and e.channel_id is null)
    returning e.outcome into now_is;
    if found then
      present := present || i;
      outcomes := outcomes || jsonb_build_object(i.event_id, now_is);
    end if;
  end loop;

  perform slack.apply_effects(present, discarded);
  return outcomes;
end
$func$;
comment on function slack.replay(jsonb) is
  'Does to the tables what events of the audit trail say, as slack.ingest() does, and keeps in slack.event what became of them now. Takes routed events that have the "id" of their rows, and as "kept_channel_id" their channel_id. Returns {event_id: outcome}, without those whose rows are gone.';
$migration$);
insert into slack.migration values ('idempotent/008-gaps.sql', '0.4.0', '2023-11-14Z', $migration$create or replace function slack.is_settled(gap slack.gap)
returns bool
language sql stable parallel safe
as $func$
  select gap.ended_at is not null
  and (gap.reason in ('not connected', 'queue stopped', 'by hand') or gap.grown_at < now() - interval '1 hour')
$func$;
comment on function slack.is_settled(slack.gap) is
  'Whether the gap is over and will not grow: one that events tell of does while more of them come, and Slack repeats some each hour.';

create or replace function slack.record_gap
( team text, reason text, started timestamptz, ended timestamptz, instance text, within interval
)
returns int8
language plpgsql
as $func$
declare
  found int8;
begin
  -- One at a time, so that one episode told by several instances is one row. Nothing else is locked after this.
  perform pg_advisory_xact_lock(1734438958);
  select g.id
  into found
  from slack.gap g
  where g.team_id is not distinct from team
  and g.reason = record_gap.reason
  and g.channel_id is null
  and g.begun_at is null
  and g.closed_at is null
  and g.started_at <= ended + within
  and g.ended_at >= started - within
  order by g.ended_at desc
  limit 1;

  if found is null then
    insert into slack.gap (team_id, reason, started_at, ended_at, instance)
    values (team, record_gap.reason, started, ended, record_gap.instance)
    returning id into found;
  else
    update slack.gap g set
      started_at = least(g.started_at, started)
    , ended_at = greatest(g.ended_at, ended)
    , grown_at = now()
    where g.id = found
    and (g.started_at > started or g.ended_at < ended);
  end if;
  return found;
end
$func$;
comment on function slack.record_gap(text, text, timestamptz, timestamptz, text, interval) is
  'Writes a span without events into slack.gap, or makes one of its reason longer that is so near and that no backfill has begun with. Returns its id.';

create or replace function slack.note_gaps(items slack.routed_event[])
returns void
language plpgsql
as $func$
declare
  s record;
begin
  for s in
    select
      i.team_id
    , case when i.type = 'app_rate_limited' then 'rate limited' else 'late deliveries' end as reason
    , min(i.event_ts) as started
    , max(i.event_ts) as ended
    from unnest(items) i
    where i.type = 'app_rate_limited'
    -- Slack repeats for a day at most; what seems to be older has another clock.
    or (i.received_at > i.event_ts + interval '2 hours' and i.received_at < i.event_ts + interval '3 days')
    -- Two episodes in one batch stay two.
    group by 1, 2, date_bin(case when i.type = 'app_rate_limited' then interval '1 minute' else '1 hour' end, i.event_ts, 'epoch')
    order by started
  loop
    if s.reason = 'rate limited' then
      -- It tells the minute that has begun.
      perform slack.record_gap(s.team_id, s.reason, s.started, s.ended + interval '1 minute', null, '5 minutes');
    elsif not exists
    ( select from slack.gap g
      where g.team_id is not distinct from s.team_id
      and g.channel_id is null
      and g.started_at <= s.started
      and (g.ended_at is null or g.ended_at >= s.ended)
    ) then
      perform slack.record_gap(s.team_id, s.reason, s.started, s.ended, null, '1 hour');
    end if;
  end loop;
end
$func$;
comment on function slack.note_gaps(slack.routed_event[]) is
  'Writes down the gaps that events tell of: app_rate_limited, and deliveries more than 2 h late of a time of which no gap is known.';

create or replace function slack.judge_connections
( team text, instance text, stale interval, is_steady bool, least_gap interval
)
returns void
language plpgsql
as $func$
declare
  c slack.connection;
  before timestamptz;
  going_on slack.gap;
begin
  perform pg_advisory_xact_lock(1734438958);
  select g.* into going_on
  from slack.gap g
  where g.team_id is not distinct from team
  and g.reason = 'not connected'
  and g.ended_at is null;

  for c in
    select n.*
    from slack.connection n
    join slack.instance i on i.id = n.instance_id
    where i.team_id is not distinct from team
    and not n.is_judged
    order by n.connected_at, n.id
  loop
    select max(e.seen_at) into before
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and (e.connected_at, e.id) < (c.connected_at, c.id);

    if before < c.connected_at then
      -- Another one that may have lived on tells so within a moment, or is dead.
      continue when exists
      ( select
        from slack.connection e
        join slack.instance i on i.id = e.instance_id
        where i.team_id is not distinct from team
        and (e.connected_at, e.id) < (c.connected_at, c.id)
        and e.ended_at is null
        and i.stopped_at is null
        and (i.last_seen_at > now() - stale or not is_steady)
      );
    end if;

    if going_on.id is not null then
      update slack.gap g set ended_at = greatest(g.started_at, c.connected_at)
      where g.id = going_on.id;
      going_on := null;
    elsif before + least_gap <= c.connected_at then
      perform slack.record_gap(team, 'not connected', before, c.connected_at, judge_connections.instance, '1 minute');
    end if;
    update slack.connection set is_judged = true where id = c.id;
  end loop;

  -- One that could not reach the database was connected all the time.
  delete from slack.gap g
  where g.id = going_on.id
  and exists
  ( select
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and e.connected_at <= g.started_at
    and e.seen_at > g.started_at
  );

  if going_on.id is null and is_steady and not exists
  ( select
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and (not e.is_judged or (e.ended_at is null and i.stopped_at is null and i.last_seen_at > now() - stale))
  ) then
    insert into slack.gap (team_id, reason, started_at, instance)
    select team, 'not connected', max(e.seen_at), judge_connections.instance
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    having max(e.seen_at) <= now() - least_gap;
  end if;
end
$func$;
comment on function slack.judge_connections(text, text, interval, bool, interval) is
  'Writes down when no instance of the workspace was connected: before each new connection, and now. An instance not seen for the interval stale counts as dead, unless the caller has not seen the database steadily for as long (is_steady): then the other may not have seen it either.';
$migration$);
insert into slack.migration values ('incremental/001-tables.sql', '0.4.0', '2023-11-14Z', $migration$-- The tables. slack.version and slack.migration belong to the migration runner and are already here.

create table slack."user"
( id text not null primary key
, team_id text
, user_name text not null
, real_name text
, display_name text
, real_name_normalized text
, display_name_normalized text
, email text
, tz text
, tz_label text
, tz_offset int4
, deleted bool
, is_bot bool
, updated int8
, attributes jsonb not null default '{}'
);
comment on table slack."user" is 'People and bots of the workspace, as far as events and the daily sync have told of them.';
comment on column slack."user".id is 'Slack''s user id (U… or W…).';
comment on column slack."user".team_id is 'Workspace that the user belongs to.';
comment on column slack."user".user_name is 'Slack''s handle (user.name); the id where no name is known yet.';
comment on column slack."user".real_name is 'Full name.';
comment on column slack."user".display_name is 'Name shown in Slack (profile.display_name).';
comment on column slack."user".real_name_normalized is 'Full name without diacritics (profile.real_name_normalized).';
comment on column slack."user".display_name_normalized is 'Shown name without diacritics (profile.display_name_normalized).';
comment on column slack."user".email is 'E-mail address (profile.email; needs the scope users:read.email).';
comment on column slack."user".tz is 'Time zone by its IANA name.';
comment on column slack."user".tz_label is 'Time zone as Slack words it.';
comment on column slack."user".tz_offset is 'Time zone''s distance from UTC in seconds.';
comment on column slack."user".deleted is 'True once the user is deactivated.';
comment on column slack."user".is_bot is 'True for bot users.';
comment on column slack."user".updated is 'When Slack last changed the user, in seconds since 1970 (user.updated).';
comment on column slack."user".attributes is 'Newest known value of each column above and its recency: {"column": [updated, event_ts, value]}. The columns are made from it, so that partial payloads in any order end in the same row.';

create table slack.channel
( id text not null primary key
, channel_name text not null
, topic text
, purpose text
, is_archived bool
, is_shared bool
, is_ext_shared bool
, is_org_shared bool
, updated int8
, is_deleted bool
, is_member bool
, successor_id text
, attributes jsonb not null default '{}'
);
comment on table slack.channel is 'Channels, private channels and direct messages, as far as events and the daily sync have told of them.';
comment on column slack.channel.id is 'Slack''s channel id (C…, G… or D…).';
comment on column slack.channel.channel_name is 'Name without #; the id where no name is known yet.';
comment on column slack.channel.topic is 'Topic''s text.';
comment on column slack.channel.purpose is 'Purpose''s text.';
comment on column slack.channel.is_archived is 'True while the channel is archived.';
comment on column slack.channel.is_shared is 'True while the channel is shared with another workspace.';
comment on column slack.channel.is_ext_shared is 'True while the channel is shared with another organisation.';
comment on column slack.channel.is_org_shared is 'True while the channel is shared within the organisation.';
comment on column slack.channel.updated is 'When Slack last changed the channel''s settings, in milliseconds since 1970 (channel.updated).';
comment on column slack.channel.is_deleted is 'True once the channel is deleted; its messages stay.';
comment on column slack.channel.is_member is 'True while the app is a member; false where it never was or has left, so that no messages come from it.';
comment on column slack.channel.successor_id is 'Id that replaced this one (channel_id_changed).';
comment on column slack.channel.attributes is 'Newest known value of each column above and its recency: {"column": [time, event_ts, value]}. The columns are made from it, so that partial payloads in any order end in the same row.';

create table slack.message
( ts timestamptz not null
, channel_id text not null
, team text
, text text
, type text
, user_id text
, blocks jsonb
, event_ts timestamptz
, thread_ts timestamptz
, channel_type text
, client_msg_id uuid
, parent_user_id text
, updated_at timestamptz
, bot_id text
, attachments jsonb
, files jsonb
, app_id text
, subtype text
, trigger_id text
, workflow_id text
, display_as_bot bool
, upload bool
, x_files jsonb
, icons jsonb
, language jsonb
, edited jsonb
, reactions jsonb
, event_id text
, primary key (channel_id, ts)
);
create index message_thread_idx on slack.message (channel_id, thread_ts) where thread_ts is not null;
create index message_user_idx on slack.message (user_id, ts desc);
create index message_ts_idx on slack.message using brin (ts);
comment on table slack.message is 'Messages in their newest known content. Known by channel_id and ts together.';
comment on column slack.message.ts is 'When the message was posted; Slack''s ts to the microsecond, unique within its channel.';
comment on column slack.message.channel_id is 'Channel of the message; may be unknown to slack.channel.';
comment on column slack.message.team is 'Workspace of the author.';
comment on column slack.message.text is 'Text, as Slack sends it (mrkdwn, escaped &, <, >).';
comment on column slack.message.type is 'Slack''s type, "message".';
comment on column slack.message.user_id is 'Author; null for some bots; may be unknown to slack."user".';
comment on column slack.message.blocks is 'Block Kit layout.';
comment on column slack.message.event_ts is 'Recency of this content: event_ts of the event that it came from. Newer beats older.';
comment on column slack.message.thread_ts is 'ts of the thread''s parent, for the parent and its replies.';
comment on column slack.message.channel_type is 'channel, group, im, mpim or app_home.';
comment on column slack.message.client_msg_id is 'Id that the author''s client gave the message.';
comment on column slack.message.parent_user_id is 'Author of the thread''s parent, for replies.';
comment on column slack.message.updated_at is 'event_ts of the message_changed that this content came from; null while the message is as posted.';
comment on column slack.message.bot_id is 'Bot that posted the message.';
comment on column slack.message.attachments is 'Attachments and unfurled links.';
comment on column slack.message.files is 'Files, their URLs without secrets.';
comment on column slack.message.app_id is 'App that posted the message.';
comment on column slack.message.subtype is 'Slack''s subtype of the content; null for an ordinary message.';
comment on column slack.message.trigger_id is 'Trigger of a workflow''s message.';
comment on column slack.message.workflow_id is 'Workflow that posted the message.';
comment on column slack.message.display_as_bot is 'True for files posted as a bot.';
comment on column slack.message.upload is 'True where the message came with an upload.';
comment on column slack.message.x_files is 'Ids of files posted with the message (x_files).';
comment on column slack.message.icons is 'Icon of a bot''s message.';
comment on column slack.message.language is 'Language that Slack found the text to be in.';
comment on column slack.message.edited is 'Who edited the text last, and when, in whole seconds: {"user", "ts"}.';
comment on column slack.message.reactions is 'Reactions present now: [{"user_id", "reaction"}], oldest first; null where there are none.';
comment on column slack.message.event_id is 'Event that this content came from; decides between contents of one event_ts.';

create table slack.reaction
( channel_id text not null
, ts timestamptz not null
, user_id text not null
, reaction text not null
, is_present bool not null
, event_ts timestamptz not null
, event_id text not null
, primary key (channel_id, ts, user_id, reaction)
);
comment on table slack.reaction is 'Newest known state of each reaction, kept also while its message is unknown. slack.message.reactions shows those present.';
comment on column slack.reaction.channel_id is 'Channel of the message.';
comment on column slack.reaction.ts is 'ts of the message.';
comment on column slack.reaction.user_id is 'Who reacted.';
comment on column slack.reaction.reaction is 'Emoji''s name, with its skin tone.';
comment on column slack.reaction.is_present is 'True after an add, false after a removal.';
comment on column slack.reaction.event_ts is 'When it was added or removed. Newer beats older.';
comment on column slack.reaction.event_id is 'Event that told so; decides between two of one event_ts.';

create table slack.tombstone
( channel_id text not null
, ts timestamptz not null
, deleted_at timestamptz not null
, primary key (channel_id, ts)
);
comment on table slack.tombstone is 'Deleted messages, without their content, so that a late original or edit does not bring one back.';
comment on column slack.tombstone.channel_id is 'Channel of the message.';
comment on column slack.tombstone.ts is 'ts of the message.';
comment on column slack.tombstone.deleted_at is 'event_ts of the first deletion.';

create table slack.message_discard
( id int4 not null generated by default as identity primary key
, match jsonpath not null
, note text
);
comment on table slack.message_discard is 'Rules of the operators: a message for which jsonb_path_match(message, match, silent => true) is true for any row is not stored.';
comment on column slack.message_discard.id is 'Number of the rule, as shown with the events that it discarded.';
comment on column slack.message_discard.match is 'jsonpath predicate over the message, such as $.subtype == "channel_join".';
comment on column slack.message_discard.note is 'What the rule is for.';

create table slack.delivery
( event_id text not null primary key
, event_ts timestamptz not null
, received_at timestamptz not null
, last_received_at timestamptz not null
, deliveries int4 not null
);
comment on table slack.delivery is 'Every event_id received. Slack delivers at least once; only the first delivery has an effect. An ordinary table, because a hypertable cannot keep event_id unique by itself.';
comment on column slack.delivery.event_id is 'Slack''s event_id; for a frame without one, "sha256:" and a digest of it.';
comment on column slack.delivery.event_ts is 'event_ts of its row in slack.event.';
comment on column slack.delivery.received_at is 'When it was first received.';
comment on column slack.delivery.last_received_at is 'When it was last received.';
comment on column slack.delivery.deliveries is 'How often it was received.';

create table slack.event
( id int8 not null generated always as identity
, event_ts timestamptz not null
, type text
, subtype text
, event jsonb not null
, error jsonb
, event_id text not null
, received_at timestamptz not null
, outcome text not null check (outcome in ('stored', 'discarded', 'audit', 'unrouted', 'failed'))
, discard_id int4
, team_id text
, channel_id text
, user_id text
, message_ts timestamptz
, primary key (event_ts, id)
);
comment on table slack.event is 'Audit trail: each event once, with what became of it.';
comment on column slack.event.id is 'Order of writing.';
comment on column slack.event.event_ts is 'When it happened, by Slack''s clock (event.event_ts; where an event has none: event_time).';
comment on column slack.event.type is 'Slack''s type of the event.';
comment on column slack.event.subtype is 'Slack''s subtype, for messages.';
comment on column slack.event.event is 'The event as received, without NUL, lone surrogates and secrets in file URLs.';
comment on column slack.event.error is 'Why it failed: {"class", "message", "sqlstate", "diagnostics"}; null for all other outcomes.';
comment on column slack.event.event_id is 'Slack''s event_id, unique by slack.delivery.';
comment on column slack.event.received_at is 'When it was first received.';
comment on column slack.event.outcome is 'stored: it changed tables, or a newer event already had; discarded: a rule matched; audit: kept here only; unrouted: of a type that is not known; failed: see error.';
comment on column slack.event.discard_id is 'Rule that discarded it (slack.message_discard.id at that time).';
comment on column slack.event.team_id is 'Workspace that it was delivered for.';
comment on column slack.event.channel_id is 'Channel that it is about.';
comment on column slack.event.user_id is 'User that it is about.';
comment on column slack.event.message_ts is 'ts of the message that it is about.';

create type slack.routed_event as
( event_id text
, event_ts timestamptz
, received_at timestamptz
, type text
, subtype text
, effects text[]
, outcome text
, team_id text
, channel_id text
, user_id text
, message_ts timestamptz
, event jsonb
, error jsonb
);
comment on type slack.routed_event is 'An event on its way into the tables: what it is, what it is about and which effects it has (message, deletion, reaction, user, channel).';
$migration$);
insert into slack.migration values ('incremental/002-hypertables.sql', '0.4.0', '2023-11-14Z', $migration$-- With TimescaleDB, messages and events become hypertables; without it they stay ordinary tables.
do $block$
begin
  if not exists (select from pg_extension where extname = 'timescaledb') then
    return;
  end if;

  perform create_hypertable('slack.message', by_range('ts', interval '7 days'), create_default_indexes => false);
  perform create_hypertable('slack.event', by_range('event_ts', interval '7 days'), create_default_indexes => false);

  -- The Apache edition has hypertables, but neither columnstore nor policies.
  begin
    alter table slack.message set
    ( timescaledb.enable_columnstore
    , timescaledb.segmentby = 'channel_id'
    , timescaledb.orderby = 'ts desc'
    );
    alter table slack.event set
    ( timescaledb.enable_columnstore
    , timescaledb.segmentby = 'channel_id'
    , timescaledb.orderby = 'event_ts desc, id desc'
    );
    -- Newer versions make a columnstore policy by themselves, with an interval of their own.
    call remove_columnstore_policy('slack.message', if_exists => true);
    call remove_columnstore_policy('slack.event', if_exists => true);
    call add_columnstore_policy('slack.message', after => interval '45 days');
    call add_columnstore_policy('slack.event', after => interval '45 days');
    perform add_retention_policy('slack.event', drop_after => interval '90 days');
  exception when feature_not_supported then
    if sqlerrm not like '%license%' then
      raise;
    end if;
  end;
end
$block$;
$migration$);
insert into slack.migration values ('incremental/003-jobs.sql', '0.4.0', '2023-11-14Z', $migration$-- What the jobs did, and what their retention needs.

create table slack.job_run
( id int8 not null primary key generated always as identity
, job text not null
, reason text not null check (reason in ('schedule', 'catch-up', 'first start', 'by hand'))
, scheduled_for timestamptz
, instance text not null
, started_at timestamptz not null default now()
, finished_at timestamptz
, outcome text check (outcome in ('done', 'failed', 'timed out', 'cancelled', 'cut off', 'skipped'))
, rows_seen int8 not null default 0
, rows_changed int8 not null default 0
, rows_failed int8 not null default 0
, cursor text
, error text
, bad_rows jsonb
, check ((outcome is null) = (finished_at is null))
);
create index job_run_job_idx on slack.job_run (job, id desc);
comment on table slack.job_run is 'Every run of a job: what started it, where, and what it did. Kept for a year.';
comment on column slack.job_run.id is 'Order of starting.';
comment on column slack.job_run.job is 'users, channels or retention.';
comment on column slack.job_run.reason is 'schedule: its time had come; catch-up: its time came while nothing ran, or the run failed; first start: it never ended well before; by hand: an operator asked for it.';
comment on column slack.job_run.scheduled_for is 'Time of the schedule that this run is for; null where no schedule started it.';
comment on column slack.job_run.instance is 'Who ran it: the application_name of its sessions, SERVICE_NAME@HOST:PID.';
comment on column slack.job_run.started_at is 'When it began.';
comment on column slack.job_run.finished_at is 'When it ended; for a run cut off, when that was noticed. Null while it runs, and after a crash until the next run.';
comment on column slack.job_run.outcome is 'done, failed, timed out, cancelled (the instance was stopped), cut off (its session was lost: a crash), skipped (another session held the lock). Null while it runs.';
comment on column slack.job_run.rows_seen is 'Users or channels that Slack listed; for retention, rows deleted.';
comment on column slack.job_run.rows_changed is 'Rows that are different now; for retention, rows deleted.';
comment on column slack.job_run.rows_failed is 'Rows that the database refused; the first of them stand in bad_rows.';
comment on column slack.job_run.cursor is 'Slack''s cursor of the next page; where a run ended badly, the next one goes on there.';
comment on column slack.job_run.error is 'Why it did not end well, or who held the lock.';
comment on column slack.job_run.bad_rows is 'The first rows that were refused: [{"id", "sqlstate"}].';

create index delivery_received_idx on slack.delivery using brin (received_at) with (autosummarize = on);
comment on index slack.delivery_received_idx is 'Finds what the retention deletes; rows are written in about this order.';

-- They return whether something changed now; the idempotent files make them again.
drop function if exists slack.upsert_user(jsonb);
drop function if exists slack.upsert_channel(jsonb);
$migration$);
insert into slack.migration values ('incremental/004-import.sql', '0.4.0', '2023-11-14Z', $migration$-- What imports of exports did, how far they are, and every name by which an export may call a channel.

create table slack.import
( id int8 not null primary key generated always as identity
, source text not null
, options jsonb not null
, since timestamptz
, until timestamptz
, instance text not null
, started_at timestamptz not null default now()
, resumed_at timestamptz
, finished_at timestamptz
, outcome text check (outcome in ('done', 'failed', 'cancelled', 'replaced'))
, error text
, account jsonb
, check ((outcome is null) = (finished_at is null))
);
create index import_source_idx on slack.import (source, id desc);
comment on table slack.import is 'Imports of export archives. One that is not done goes on where it was when it is started again.';
comment on column slack.import.id is 'Order of starting; while it runs, its session holds the advisory lock 1768778863 * 2^32 + id.';
comment on column slack.import.source is 'Path of the archive, on the machine that imported it.';
comment on column slack.import.options is 'What decides which messages are imported, as it was given: {"since", "until", "channels", "channel_map"}. Only the same options go on with an import.';
comment on column slack.import.since is 'Messages before this are not imported; a duration is counted from the first start.';
comment on column slack.import.until is 'Messages from this on are not imported.';
comment on column slack.import.instance is 'Who started or continued it last: application_name of its sessions.';
comment on column slack.import.started_at is 'When it began.';
comment on column slack.import.resumed_at is 'When it was last continued.';
comment on column slack.import.finished_at is 'When it ended. Null while it runs, and after a crash.';
comment on column slack.import.outcome is 'done; failed (see error); cancelled by the operator; replaced (the operator began anew). Null while it runs, and after a crash.';
comment on column slack.import.error is 'Why it failed.';
comment on column slack.import.account is 'What became of everything in the archive, in total and by channel.';

create table slack.import_file
( import_id int8 not null references slack.import on delete cascade
, path text not null
, size int8 not null
, crc int8 not null
, channel_id text not null
, position int4 not null
, is_done bool not null
, account jsonb not null
, error text
, updated_at timestamptz not null default now()
, primary key (import_id, path)
);
comment on table slack.import_file is 'How far each file of an import is; written in the transaction of its messages, so that a restart counts none twice.';
comment on column slack.import_file.import_id is 'Its import.';
comment on column slack.import_file.path is 'Path within the archive.';
comment on column slack.import_file.size is 'Size in bytes. With another size or crc the file is read again.';
comment on column slack.import_file.crc is 'CRC-32 of the content.';
comment on column slack.import_file.channel_id is 'Channel that its messages went to.';
comment on column slack.import_file.position is 'Records of the file that are accounted for.';
comment on column slack.import_file.is_done is 'True once all of the file is accounted for.';
comment on column slack.import_file.account is 'What became of these records.';
comment on column slack.import_file.error is 'Why the rest of the file could not be read.';
comment on column slack.import_file.updated_at is 'When it was last written.';

create table slack.import_problem
( import_id int8 not null references slack.import on delete cascade
, path text not null
, position int4
, reason text not null
);
create index import_problem_idx on slack.import_problem (import_id, path, position);
comment on table slack.import_problem is 'Records and files of an import that were skipped as bad, or repaired.';
comment on column slack.import_problem.import_id is 'Its import.';
comment on column slack.import_problem.path is 'Path within the archive.';
comment on column slack.import_problem.position is 'Number of the record in its file, from 1; null for the file itself.';
comment on column slack.import_problem.reason is 'What is wrong with it.';

create table slack.import_content
( channel_id text not null
, file_name text not null
, size int8 not null
, crc int8 not null
, times timestamptz[] not null
, first_ts timestamptz not null
, last_ts timestamptz not null
, account jsonb not null
, primary key (channel_id, file_name, size, crc)
);
comment on table slack.import_content is 'Contents of day files that were taken in whole and without a fault. As long as their messages are there, or deleted since, taking one in again changes nothing, so that it need not be read.';
comment on column slack.import_content.channel_id is 'Channel that the messages went to.';
comment on column slack.import_content.file_name is 'Name of the file without its folder.';
comment on column slack.import_content.size is 'Size in bytes.';
comment on column slack.import_content.crc is 'CRC-32 of the content.';
comment on column slack.import_content.times is 'ts of its messages, one for each record.';
comment on column slack.import_content.first_ts is 'The earliest of them.';
comment on column slack.import_content.last_ts is 'The latest of them.';
comment on column slack.import_content.account is 'What became of its records.';

create table slack.channel_name
( channel_name text not null
, channel_id text not null
, primary key (channel_name, channel_id)
);
comment on table slack.channel_name is 'Every name that a channel is known to have or to have had.';
comment on column slack.channel_name.channel_name is 'The name, without #.';
comment on column slack.channel_name.channel_id is 'Channel that has or had it; several channels may.';
insert into slack.channel_name (channel_name, channel_id)
select c.channel_name, c.id
from slack.channel c
where c.channel_name <> c.id;

comment on column slack.message.event_id is 'Event that this content came from; for an imported one "0", its length and digest. Decides between contents of one event_ts: a live one beats imported ones, a longer one shorter ones.';
$migration$);
insert into slack.migration values ('incremental/005-audit.sql', '0.4.0', '2023-11-14Z', $migration$-- What the operators' questions to the audit trail need: its indexes, the age of rules and rules that are off, replays.

alter table slack.message_discard add column created_at timestamptz;
alter table slack.message_discard alter column created_at set default now();
comment on column slack.message_discard.created_at is 'When the rule was made; null for rules older than this column.';

create table slack.message_discard_off
( id int4 not null primary key
, match jsonpath not null
, note text
, created_at timestamptz
, off_at timestamptz not null default now()
, is_removed bool not null
);
comment on table slack.message_discard_off is 'Rules that discard nothing now: turned off, or removed and kept to explain what they discarded. A rule moves between here and slack.message_discard and keeps its id.';
comment on column slack.message_discard_off.id is 'Number of the rule (slack.message_discard.id).';
comment on column slack.message_discard_off.match is 'jsonpath predicate over the message.';
comment on column slack.message_discard_off.note is 'What the rule is for.';
comment on column slack.message_discard_off.created_at is 'When the rule was made.';
comment on column slack.message_discard_off.off_at is 'When it was turned off or removed.';
comment on column slack.message_discard_off.is_removed is 'True for a rule that was removed: it is not turned on again.';

alter table slack.event add column replays jsonb;
comment on column slack.event.replays is 'Replays, oldest first, with what had become of the event until then: [{"at", "outcome", "discard_id", "error"}]; null where there was none.';

-- Each finds the newest events for one of the questions; event_ts and id behind it give their order. What they include
-- tells without a look at the table which events meet further conditions, so that two frequent values that never come
-- together are told soon, too.
create index event_message_idx on slack.event (message_ts);
create index event_channel_idx on slack.event (channel_id, event_ts, id) include (user_id, type, outcome);
create index event_user_idx on slack.event (user_id, event_ts, id) include (channel_id, type, outcome);
create index event_type_idx on slack.event (type, outcome, event_ts, id);
-- Most events are stored: the way of these needs no index of theirs.
create index event_outcome_idx on slack.event (outcome, event_ts, id) where outcome <> 'stored';
create index event_discard_idx on slack.event (discard_id, event_ts, id) include (channel_id, user_id, type, outcome)
where discard_id is not null;
-- Rows are written in its order, so that the newest are found by a few bytes.
create index event_id_idx on slack.event using brin (id) with (pages_per_range = 64, autosummarize = on);
comment on index slack.event_message_idx is 'The history of one message.';
comment on index slack.event_channel_idx is 'The newest events of a channel.';
comment on index slack.event_user_idx is 'The newest events of a user.';
comment on index slack.event_type_idx is 'The newest events of a type and outcome.';
comment on index slack.event_outcome_idx is 'The newest events that were not stored, by outcome.';
comment on index slack.event_discard_idx is 'How often each rule discarded, and when last.';
comment on index slack.event_id_idx is 'What was written last.';

-- A preview of a rule goes through the newest messages of all channels; imports write them in another order than ts, so
-- that block ranges do not find these.
drop index slack.message_ts_idx;
create index message_ts_idx on slack.message (ts);
comment on index slack.message_ts_idx is 'The newest messages of all channels.';
$migration$);
insert into slack.migration values ('incremental/006-gaps.sql', '0.4.0', '2023-11-14Z', $migration$-- Which instances run, when they were connected to Slack, and the spans of which events may be missing.

create table slack.instance
( id int8 not null primary key generated always as identity
, instance text not null
, team_id text
, version text not null
, host text not null
, pid int4 not null
, started_at timestamptz not null
, last_seen_at timestamptz not null
, stopped_at timestamptz
, status text not null
, status_since timestamptz not null
, reason text
, database_problem text
, queue int4 not null
, queue_limit int4 not null
, spool_events int8 not null
, spool_bytes int8 not null
, spool_problem text
, received int8 not null
, acked int8 not null
, events_per_second float8 not null
, ack_p99 float8
);
create index instance_seen_idx on slack.instance (last_seen_at);
comment on table slack.instance is 'Every start of the program, and how it is: each instance writes its row every 5 s. One not seen for 30 s and not stopped is dead, or has lost the database. Kept for 30 days.';
comment on column slack.instance.id is 'Order of starting.';
comment on column slack.instance.instance is 'application_name of its sessions, SERVICE_NAME@HOST:PID. Containers may use one again.';
comment on column slack.instance.team_id is 'Workspace that its bot token speaks for; null until Slack has told.';
comment on column slack.instance.version is 'Version of the program.';
comment on column slack.instance.host is 'Name of its machine.';
comment on column slack.instance.pid is 'Number of its process.';
comment on column slack.instance.started_at is 'When it started.';
comment on column slack.instance.last_seen_at is 'When it last wrote this row, by the database''s clock.';
comment on column slack.instance.stopped_at is 'When it was stopped in good order; null while it runs, and after a crash.';
comment on column slack.instance.status is 'Its connection to Slack: starting, connecting, connected, backing off, held back, stopped.';
comment on column slack.instance.status_since is 'Since when it has this status.';
comment on column slack.instance.reason is 'Why it is not connected.';
comment on column slack.instance.database_problem is 'Why its events go to the spool; null while the database takes them.';
comment on column slack.instance.queue is 'Events read and not yet written.';
comment on column slack.instance.queue_limit is 'Events that the queue holds at most; a full one stops reading from Slack.';
comment on column slack.instance.spool_events is 'Events in its spool.';
comment on column slack.instance.spool_bytes is 'Size of its spool.';
comment on column slack.instance.spool_problem is 'Why the spool takes nothing either, so that nothing is acknowledged.';
comment on column slack.instance.received is 'Events received since its start.';
comment on column slack.instance.acked is 'Events acknowledged since its start.';
comment on column slack.instance.events_per_second is 'Events received a second, since the row was written before.';
comment on column slack.instance.ack_p99 is 'Seconds from reading an event to its ack, of 99 % of the newest.';

create table slack.connection
( id int8 not null primary key generated always as identity
, instance_id int8 not null references slack.instance on delete cascade
, connected_at timestamptz not null
, seen_at timestamptz not null
, ended_at timestamptz
, is_judged bool not null default false
);
create index connection_time_idx on slack.connection (connected_at);
create index connection_instance_idx on slack.connection (instance_id);
create index connection_new_idx on slack.connection (connected_at) where not is_judged;
comment on table slack.connection is 'Spans in which instances were connected to Slack, by the database''s clock. What none of them covers is a row of slack.gap. Kept for 30 days, the last one always.';
comment on column slack.connection.id is 'Order of writing.';
comment on column slack.connection.instance_id is 'The instance.';
comment on column slack.connection.connected_at is 'When Slack said hello. Connections that follow each other without a break are one row.';
comment on column slack.connection.seen_at is 'Until when it is known to have lived and events to have been taken: Slack was last heard of then, within 15 s of a loss.';
comment on column slack.connection.ended_at is 'When it was known to have ended; null while it lasts, and after a crash.';
comment on column slack.connection.is_judged is 'True once it is known whether there was a gap before it.';

create table slack.gap
( id int8 not null primary key generated always as identity
, team_id text
, reason text not null check (reason in ('not connected', 'queue stopped', 'rate limited', 'late deliveries', 'by hand'))
, started_at timestamptz not null
, ended_at timestamptz
, channel_id text
, instance text
, found_at timestamptz not null default now()
, grown_at timestamptz not null default now()
, begun_at timestamptz
, tried_at timestamptz
, closed_at timestamptz
, account jsonb
, error text
, check (ended_at >= started_at)
, check (closed_at is null or ended_at is not null)
);
create index gap_started_idx on slack.gap (started_at);
create index gap_open_idx on slack.gap (id) where closed_at is null;
comment on table slack.gap is 'Spans in which events may not have reached us. A backfill closes them with what Slack''s history has. Kept for a year after that.';
comment on column slack.gap.id is 'Order of finding.';
comment on column slack.gap.team_id is 'Workspace; null where it is not known.';
comment on column slack.gap.reason is 'not connected: no instance was connected to Slack; queue stopped: an instance could neither write nor spool events, so that it acknowledged none; rate limited: Slack withheld events (app_rate_limited); late deliveries: events came more than 2 h late, so that others may not have come at all; by hand: an operator asked for it.';
comment on column slack.gap.started_at is 'From when events may be missing.';
comment on column slack.gap.ended_at is 'Until when; null while it goes on.';
comment on column slack.gap.channel_id is 'The only channel that it concerns; null for all.';
comment on column slack.gap.instance is 'Instance that found it, or whose queue stopped.';
comment on column slack.gap.found_at is 'When it was written down.';
comment on column slack.gap.grown_at is 'When it was last made longer. One that events tell of can still grow for a while, so the job leaves it alone for an hour.';
comment on column slack.gap.begun_at is 'When a backfill first began with it; from then on the span stays as it is.';
comment on column slack.gap.tried_at is 'When a backfill last came to its end without closing it: error says why.';
comment on column slack.gap.closed_at is 'When a backfill closed it.';
comment on column slack.gap.account is 'What became of what the history holds, so far: {"channels", "skipped_channels", "threads", "deleted", "messages": {"read", "inserted", "already_there", "updated", "discarded", "skipped"}}.';
comment on column slack.gap.error is 'Why it is not closed, or what the backfill could not do.';

create table slack.gap_channel
( gap_id int8 not null references slack.gap on delete cascade
, channel_id text not null
, reached timestamptz
, is_done bool not null default false
, skipped text
, threads int8 not null default 0
, deleted int8 not null default 0
, account jsonb not null default '{}'
, primary key (gap_id, channel_id)
);
comment on table slack.gap_channel is 'How far the backfill of a gap is in each channel; written in the transaction of its messages, so that the next try goes on from there and counts none twice. Deleted when the gap is closed.';
comment on column slack.gap_channel.gap_id is 'The gap.';
comment on column slack.gap_channel.channel_id is 'The channel.';
comment on column slack.gap_channel.reached is 'ts of the oldest message read: the history is read from the newest; null before its first page.';
comment on column slack.gap_channel.is_done is 'True once its history and threads are read, or skipped.';
comment on column slack.gap_channel.skipped is 'Why it was not read: Slack''s word for it.';
comment on column slack.gap_channel.threads is 'Threads read.';
comment on column slack.gap_channel.deleted is 'Messages found to be deleted in Slack.';
comment on column slack.gap_channel.account is 'What became of its messages.';

create table slack.gap_thread
( gap_id int8 not null
, channel_id text not null
, thread_ts timestamptz not null
, primary key (gap_id, channel_id, thread_ts)
, foreign key (gap_id, channel_id) references slack.gap_channel on delete cascade
);
comment on table slack.gap_thread is 'Threads that a backfill is still to read.';
comment on column slack.gap_thread.gap_id is 'The gap.';
comment on column slack.gap_thread.channel_id is 'The channel.';
comment on column slack.gap_thread.thread_ts is 'ts of the thread''s parent.';

alter table slack.job_run drop constraint job_run_reason_check;
alter table slack.job_run add check (reason in ('schedule', 'catch-up', 'first start', 'by hand', 'gap'));
comment on column slack.job_run.job is 'users, channels, retention or backfill.';
comment on column slack.job_run.reason is 'schedule: its time had come; catch-up: its time came while nothing ran, or the run failed; first start: it never ended well before; by hand: an operator asked for it; gap: a gap was found.';
comment on column slack.job_run.rows_seen is 'Users or channels that Slack listed; for retention, rows deleted; for backfill, messages read.';

-- What ran before this version has left no connection behind; the newest event tells until when it ran at least.
with last as
( select e.team_id, e.received_at
  from slack.event e
  order by e.event_ts desc, e.id desc
  limit 1
)
, before as
( insert into slack.instance
  ( instance, team_id, version, host, pid, started_at, last_seen_at, stopped_at, status, status_since, queue
  , queue_limit, spool_events, spool_bytes, received, acked, events_per_second
  )
  select 'unknown', l.team_id, 'before 0.4.0', '', 0, l.received_at, l.received_at, l.received_at, 'stopped'
  , l.received_at, 0, 0, 0, 0, 0, 0, 0
  from last l
  returning id, started_at
)
insert into slack.connection (instance_id, connected_at, seen_at, ended_at, is_judged)
select b.id, b.started_at, b.started_at, b.started_at, true
from before b;
$migration$);
insert into slack.version values ('0.4.0', '2023-11-14Z');
do $block$
declare
  body text;
begin
  for body in select m.body from slack.migration m order by m.file_name not like 'incremental/%', m.file_name loop
    execute body;
  end loop;
end
$block$;
INSERT INTO slack.channel VALUES ('COLD', 'COLD', NULL, NULL, true, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"is_archived": [1699999004.000100, 1699999004.000100, true]}');
INSERT INTO slack.channel VALUES ('COPS', 'operations', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL, '{"channel_name": [1699999003.000100, 1699999003.000100, "operations"]}');
INSERT INTO slack.channel_name VALUES ('ops', 'COPS');
INSERT INTO slack.channel_name VALUES ('operations', 'COPS');
INSERT INTO slack.channel_name VALUES ('legacy', 'COLD');
INSERT INTO slack.instance OVERRIDING SYSTEM VALUE VALUES (1, 'tiger-slack@host:1', 'T1', '0.4.0', 'host', 1, '2023-11-14 22:00:00+00', '2023-11-15 22:00:00+00', '2023-11-15 22:00:00+00', 'stopped', '2023-11-15 22:00:00+00', NULL, NULL, 0, 10000, 0, 0, NULL, 17, 17, 0.5, 0.02);
INSERT INTO slack.instance OVERRIDING SYSTEM VALUE VALUES (2, 'tiger-slack@host:2', 'T1', '0.4.0', 'host', 2, '2023-11-15 23:00:00+00', '2023-11-16 02:01:00+00', NULL, 'connected', '2023-11-15 23:01:00+00', NULL, NULL, 3, 10000, 0, 0, NULL, 1, 1, 0.5, NULL);
INSERT INTO slack.connection OVERRIDING SYSTEM VALUE VALUES (1, 1, '2023-11-14 22:00:00+00', '2023-11-15 22:00:00+00', '2023-11-15 22:00:00+00', true);
INSERT INTO slack.connection OVERRIDING SYSTEM VALUE VALUES (2, 2, '2023-11-15 23:01:00+00', '2023-11-16 02:01:00+00', NULL, true);
INSERT INTO slack.delivery VALUES ('EvArchive', '2023-11-14 21:56:44.0001+00', '2023-11-14 21:56:45+00', '2023-11-14 21:56:45+00', 1);
INSERT INTO slack.delivery VALUES ('EvAudit', '2023-11-14 22:17:20.0001+00', '2023-11-14 22:17:20.4+00', '2023-11-14 22:17:20.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvBot', '2023-11-26 12:00:00.0001+00', '2023-11-26 12:00:00.4+00', '2023-11-26 12:00:00.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvChannelA', '2023-11-14 21:56:42.0001+00', '2023-11-14 21:56:43+00', '2023-11-14 21:56:43+00', 1);
INSERT INTO slack.delivery VALUES ('EvDelete', '2023-11-14 22:16:30.0001+00', '2023-11-14 22:16:30.4+00', '2023-11-14 22:16:30.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvEarly', '2023-11-14 22:16:50.0001+00', '2023-11-14 22:16:50.4+00', '2023-11-14 22:16:50.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvEdit', '2023-11-14 22:15:20.0003+00', '2023-11-14 22:15:20.4+00', '2023-11-14 22:15:20.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvFailed', '2023-11-14 22:17:10.0001+00', '2023-11-14 22:17:10.4+00', '2023-11-14 22:17:10.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvFile', '2023-11-16 02:00:00.0001+00', '2023-11-16 02:00:00.4+00', '2023-11-16 02:00:00.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvGone', '2023-11-14 22:16:20.0001+00', '2023-11-14 22:16:20.4+00', '2023-11-14 22:16:20.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvJoin', '2023-11-14 22:17:00.0001+00', '2023-11-14 22:17:00.4+00', '2023-11-14 22:17:00.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvParent', '2023-11-14 22:13:20.0001+00', '2023-11-14 22:13:20.4+00', '2023-11-14 22:13:20.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvReaction', '2023-11-14 22:16:40.0001+00', '2023-11-14 22:16:40.4+00', '2023-11-14 22:16:40.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvRename', '2023-11-14 21:56:43.0001+00', '2023-11-14 21:56:44+00', '2023-11-14 21:56:44+00', 1);
INSERT INTO slack.delivery VALUES ('EvReply', '2023-11-14 22:14:20.0002+00', '2023-11-14 22:14:20.4+00', '2023-11-14 22:14:20.4+00', 1);
INSERT INTO slack.delivery VALUES ('EvUserA', '2023-11-14 21:56:40.0001+00', '2023-11-14 21:56:41+00', '2023-11-14 21:56:41+00', 1);
INSERT INTO slack.delivery VALUES ('EvUserB', '2023-11-14 21:56:41.0001+00', '2023-11-14 21:56:42+00', '2023-11-14 21:56:42+00', 1);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (1, '2023-11-14 21:56:44.0001+00', 'channel_archive', NULL, '{"type": "channel_archive", "user": "UANA", "channel": "COLD", "event_ts": "1699999004.000100"}', NULL, 'EvArchive', '2023-11-14 21:56:45+00', 'stored', NULL, 'T1', 'COLD', NULL, NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (2, '2023-11-14 22:17:20.0001+00', 'app_mention', NULL, '{"type": "app_mention", "user": "UANA", "channel": "COPS", "event_ts": "1700000240.000100"}', NULL, 'EvAudit', '2023-11-14 22:17:20.4+00', 'audit', NULL, 'T1', 'COPS', 'UANA', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (4, '2023-11-14 21:56:42.0001+00', 'channel_created', NULL, '{"type": "channel_created", "channel": {"id": "COPS", "name": "ops", "created": 1699999002, "creator": "UANA"}, "event_ts": "1699999002.000100"}', NULL, 'EvChannelA', '2023-11-14 21:56:43+00', 'stored', NULL, 'T1', 'COPS', NULL, NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (5, '2023-11-14 22:16:30.0001+00', 'message', 'message_deleted', '{"ts": "1700000190.000100", "type": "message", "channel": "COPS", "subtype": "message_deleted", "event_ts": "1700000190.000100", "deleted_ts": "1700000180.000100"}', NULL, 'EvDelete', '2023-11-14 22:16:30.4+00', 'stored', NULL, 'T1', 'COPS', NULL, '2023-11-14 22:16:20.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (6, '2023-11-14 22:16:50.0001+00', 'reaction_added', NULL, '{"item": {"ts": "1690000000.000100", "type": "message", "channel": "COPS"}, "type": "reaction_added", "user": "UANA", "event_ts": "1700000210.000100", "reaction": "wave"}', NULL, 'EvEarly', '2023-11-14 22:16:50.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-07-22 04:26:40.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (7, '2023-11-14 22:15:20.0003+00', 'message', 'message_changed', '{"ts": "1700000120.000300", "type": "message", "channel": "COPS", "message": {"ts": "1700000060.000200", "text": "Yes, after supper", "type": "message", "user": "UBEN", "edited": {"ts": "1700000120.000000", "user": "UBEN"}, "thread_ts": "1700000000.000100", "parent_user_id": "UANA"}, "subtype": "message_changed", "event_ts": "1700000120.000300", "channel_type": "channel"}', NULL, 'EvEdit', '2023-11-14 22:15:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:14:20.0002+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (8, '2023-11-14 22:17:10.0001+00', 'message', NULL, '{"type": "message"}', '{"class": "MalformedEvent", "message": "no channel"}', 'EvFailed', '2023-11-14 22:17:10.4+00', 'failed', NULL, 'T1', NULL, NULL, NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (9, '2023-11-16 02:00:00.0001+00', 'message', 'file_share', '{"ts": "1700100000.000100", "text": "", "type": "message", "user": "UANA", "files": [{"id": "F1", "name": "invoice.pdf", "title": "Invoice of May"}], "upload": false, "channel": "COPS", "subtype": "file_share", "event_ts": "1700100000.000100", "channel_type": "channel"}', NULL, 'EvFile', '2023-11-16 02:00:00.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-11-16 02:00:00.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (10, '2023-11-14 22:16:20.0001+00', 'message', NULL, '{"ts": "1700000180.000100", "text": "wrong channel", "type": "message", "user": "UBEN", "channel": "COPS", "event_ts": "1700000180.000100", "channel_type": "channel"}', NULL, 'EvGone', '2023-11-14 22:16:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:16:20.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (11, '2023-11-14 22:17:00.0001+00', 'message', 'channel_join', '{"ts": "1700000220.000100", "text": "<@UBEN> has joined the channel", "type": "message", "user": "UBEN", "channel": "COPS", "subtype": "channel_join", "event_ts": "1700000220.000100"}', NULL, 'EvJoin', '2023-11-14 22:17:00.4+00', 'discarded', 1, 'T1', 'COPS', 'UBEN', '2023-11-14 22:17:00.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (12, '2023-11-14 22:13:20.0001+00', 'message', NULL, '{"ts": "1700000000.000100", "team": "T1", "text": "Shall we deploy the <https://example.com|invoice service>? 🚀", "type": "message", "user": "UANA", "blocks": [{"type": "rich_text", "block_id": "b", "elements": []}], "channel": "COPS", "event_ts": "1700000000.000100", "channel_type": "channel", "client_msg_id": "11111111-2222-4333-8444-555555555555"}', NULL, 'EvParent', '2023-11-14 22:13:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-11-14 22:13:20.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (13, '2023-11-14 22:16:40.0001+00', 'reaction_added', NULL, '{"item": {"ts": "1700000000.000100", "type": "message", "channel": "COPS"}, "type": "reaction_added", "user": "UBEN", "event_ts": "1700000200.000100", "reaction": "eyes", "item_user": "UANA"}', NULL, 'EvReaction', '2023-11-14 22:16:40.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:13:20.0001+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (14, '2023-11-14 21:56:43.0001+00', 'channel_rename', NULL, '{"type": "channel_rename", "channel": {"id": "COPS", "name": "operations", "created": 1699999002}, "event_ts": "1699999003.000100"}', NULL, 'EvRename', '2023-11-14 21:56:44+00', 'stored', NULL, 'T1', 'COPS', NULL, NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (15, '2023-11-14 22:14:20.0002+00', 'message', NULL, '{"ts": "1700000060.000200", "text": "Yes, after lunch", "type": "message", "user": "UBEN", "channel": "COPS", "event_ts": "1700000060.000200", "thread_ts": "1700000000.000100", "channel_type": "channel", "parent_user_id": "UANA"}', NULL, 'EvReply', '2023-11-14 22:14:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:14:20.0002+00', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (16, '2023-11-14 21:56:40.0001+00', 'user_change', NULL, '{"type": "user_change", "user": {"id": "UANA", "tz": "Europe/Madrid", "name": "ana", "is_bot": false, "deleted": false, "profile": {"email": "ana@example.com", "display_name": "Ana", "real_name_normalized": "Ana Diaz", "display_name_normalized": "Ana"}, "team_id": "T1", "updated": 1699998000, "tz_label": "Central European Time", "real_name": "Ana Diaz", "tz_offset": 3600}, "event_ts": "1699999000.000100"}', NULL, 'EvUserA', '2023-11-14 21:56:41+00', 'stored', NULL, 'T1', NULL, 'UANA', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (17, '2023-11-14 21:56:41.0001+00', 'team_join', NULL, '{"type": "team_join", "user": {"id": "UBEN", "name": "ben"}, "event_ts": "1699999001.000100"}', NULL, 'EvUserB', '2023-11-14 21:56:42+00', 'stored', NULL, 'T1', NULL, 'UBEN', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (3, '2023-11-26 12:00:00.0001+00', 'message', 'bot_message', '{"ts": "1701000000.000100", "text": "Build failed", "type": "message", "bot_id": "B1", "channel": "DANA", "subtype": "bot_message", "event_ts": "1701000000.000100", "attachments": [{"fallback": "main is red"}], "channel_type": "im"}', NULL, 'EvBot', '2023-11-26 12:00:00.4+00', 'stored', NULL, 'T1', 'DANA', NULL, '2023-11-26 12:00:00.0001+00', '[{"at": "2023-11-15T00:00:00Z", "error": null, "outcome": "stored", "discard_id": null}]');
INSERT INTO slack.gap OVERRIDING SYSTEM VALUE VALUES (1, 'T1', 'not connected', '2023-11-15 22:00:00+00', '2023-11-15 23:01:00+00', NULL, 'tiger-slack@host:2', '2023-11-15 23:01:00+00', '2023-11-15 23:01:00+00', '2023-11-16 00:02:00+00', '2023-11-16 00:02:00+00', NULL, '{"channels": 1, "messages": {"read": 1}}', 'Slack answered ratelimited');
INSERT INTO slack.gap OVERRIDING SYSTEM VALUE VALUES (2, 'T1', 'by hand', '2023-10-01 00:00:00+00', '2023-11-01 00:00:00+00', NULL, 'tiger-slack@host:2', '2023-11-16 00:00:00+00', '2023-11-16 00:00:00+00', '2023-11-16 00:00:00+00', '2023-11-16 00:00:00+00', '2023-11-16 00:00:00+00', '{"channels": 1}', NULL);
INSERT INTO slack.gap_channel VALUES (1, 'COPS', '2023-11-15 22:30:00+00', false, NULL, 1, 0, '{"read": 1}');
INSERT INTO slack.gap_channel VALUES (1, 'COLD', NULL, true, 'not_in_channel', 0, 0, '{}');
INSERT INTO slack.gap_thread VALUES (1, 'COPS', '2023-11-14 22:13:20.0001+00');
INSERT INTO slack.import OVERRIDING SYSTEM VALUE VALUES (1, '/exports/2023.zip', '{"channels": []}', NULL, NULL, 'tiger-slack@host:2', '2023-12-01 10:00:00+00', NULL, '2023-12-01 10:05:00+00', 'done', NULL, '{"total": {"inserted": 1}}');
INSERT INTO slack.import OVERRIDING SYSTEM VALUE VALUES (2, '/exports/half.zip', '{"since": "30d"}', '2023-11-01 00:00:00+00', NULL, 'tiger-slack@host:2', '2023-12-02 10:00:00+00', '2023-12-02 11:00:00+00', NULL, NULL, NULL, NULL);
INSERT INTO slack.import_content VALUES ('COPS', '2023-11-01.json', 200, 4000000000, '{"2023-11-01 09:00:00.0001+00"}', '2023-11-01 09:00:00.0001+00', '2023-11-01 09:00:00.0001+00', '{"inserted": 1}');
INSERT INTO slack.import_file VALUES (1, 'operations/2023-11-01.json', 200, 4000000000, 'COPS', 1, true, '{"inserted": 1}', NULL, '2023-12-01 10:04:00+00');
INSERT INTO slack.import_file VALUES (2, 'operations/2023-11-02.json', 100, 7, 'COPS', 0, false, '{}', 'not JSON', '2023-12-02 11:00:00+00');
INSERT INTO slack.import_problem VALUES (1, 'operations/2023-11-01.json', 2, 'no ts');
INSERT INTO slack.job_run OVERRIDING SYSTEM VALUE VALUES (1, 'users', 'first start', NULL, 'tiger-slack@host:1', '2023-11-14 22:00:00+00', '2023-11-14 22:01:00+00', 'done', 2, 1, 0, NULL, NULL, NULL);
INSERT INTO slack.job_run OVERRIDING SYSTEM VALUE VALUES (2, 'channels', 'schedule', '2023-11-15 03:00:00+00', 'tiger-slack@host:1', '2023-11-15 03:00:00+00', '2023-11-15 03:01:00+00', 'failed', 1, 0, 1, 'next', 'Slack answered ratelimited', '[{"id": "C9", "sqlstate": "22P02"}]');
INSERT INTO slack.job_run OVERRIDING SYSTEM VALUE VALUES (3, 'retention', 'by hand', NULL, 'tiger-slack@host:1', '2023-11-16 03:00:00+00', NULL, NULL, 0, 0, 0, NULL, NULL, NULL);
INSERT INTO slack.job_run OVERRIDING SYSTEM VALUE VALUES (4, 'backfill', 'gap', NULL, 'tiger-slack@host:2', '2023-11-16 00:02:00+00', '2023-11-16 00:03:00+00', 'done', 0, 0, 0, NULL, NULL, NULL);
INSERT INTO slack.message VALUES ('2023-11-14 22:13:20.0001+00', 'COPS', 'T1', 'Shall we deploy the <https://example.com|invoice service>? 🚀', 'message', 'UANA', '[{"type": "rich_text", "block_id": "b", "elements": []}]', '2023-11-14 22:13:20.0001+00', NULL, 'channel', '11111111-2222-4333-8444-555555555555', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[{"user_id": "UBEN", "reaction": "eyes"}]', 'EvParent');
INSERT INTO slack.message VALUES ('2023-11-14 22:14:20.0002+00', 'COPS', NULL, 'Yes, after supper', 'message', 'UBEN', NULL, '2023-11-14 22:15:20.0003+00', '2023-11-14 22:13:20.0001+00', 'channel', NULL, 'UANA', '2023-11-14 22:15:20.0003+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"ts": "1700000120.000000", "user": "UBEN"}', NULL, 'EvEdit');
INSERT INTO slack.message VALUES ('2023-11-16 02:00:00.0001+00', 'COPS', NULL, '', 'message', 'UANA', NULL, '2023-11-16 02:00:00.0001+00', NULL, 'channel', NULL, NULL, NULL, NULL, NULL, '[{"id": "F1", "name": "invoice.pdf", "title": "Invoice of May"}]', NULL, 'file_share', NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, 'EvFile');
INSERT INTO slack.message VALUES ('2023-11-26 12:00:00.0001+00', 'DANA', NULL, 'Build failed', 'message', NULL, NULL, '2023-11-26 12:00:00.0001+00', NULL, 'im', NULL, NULL, NULL, 'B1', '[{"fallback": "main is red"}]', NULL, NULL, 'bot_message', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'EvBot');
INSERT INTO slack.message VALUES ('2023-11-01 09:00:00.0001+00', 'COPS', NULL, 'An imported message', 'message', 'UBEN', NULL, '2023-11-01 09:00:00.0001+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0000000019abcdef');
INSERT INTO slack.message_discard VALUES (1, '($."subtype" == "channel_join")', 'Joins', '2023-11-14 00:00:00+00');
INSERT INTO slack.message_discard_off VALUES (2, '($."subtype" == "bot_message")', 'Bots', '2023-11-14 00:00:00+00', '2023-11-15 00:00:00+00', false);
INSERT INTO slack.message_discard_off VALUES (3, '($."user" == "UBEN")', NULL, NULL, '2023-11-16 00:00:00+00', true);
INSERT INTO slack.reaction VALUES ('COPS', '2023-07-22 04:26:40.0001+00', 'UANA', 'wave', true, '2023-11-14 22:16:50.0001+00', 'EvEarly');
INSERT INTO slack.reaction VALUES ('COPS', '2023-11-14 22:13:20.0001+00', 'UBEN', 'eyes', true, '2023-11-14 22:16:40.0001+00', 'EvReaction');
INSERT INTO slack.tombstone VALUES ('COPS', '2023-11-14 22:16:20.0001+00', '2023-11-14 22:16:30.0001+00');
INSERT INTO slack."user" VALUES ('UANA', 'T1', 'ana', 'Ana Diaz', 'Ana', 'Ana Diaz', 'Ana', 'ana@example.com', 'Europe/Madrid', 'Central European Time', 3600, false, false, 1699998000, '{"tz": [1699998000, 1699999000.000100, "Europe/Madrid"], "email": [1699998000, 1699999000.000100, "ana@example.com"], "is_bot": [1699998000, 1699999000.000100, false], "deleted": [1699998000, 1699999000.000100, false], "team_id": [1699998000, 1699999000.000100, "T1"], "updated": [1699998000, 1699999000.000100, 1699998000], "tz_label": [1699998000, 1699999000.000100, "Central European Time"], "real_name": [1699998000, 1699999000.000100, "Ana Diaz"], "tz_offset": [1699998000, 1699999000.000100, 3600], "user_name": [1699998000, 1699999000.000100, "ana"], "display_name": [1699998000, 1699999000.000100, "Ana"], "real_name_normalized": [1699998000, 1699999000.000100, "Ana Diaz"], "display_name_normalized": [1699998000, 1699999000.000100, "Ana"]}');
INSERT INTO slack."user" VALUES ('UBEN', NULL, 'ben', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"user_name": [1699999001.000100, 1699999001.000100, "ben"]}');
SELECT pg_catalog.setval('slack.connection_id_seq', 2, true);
SELECT pg_catalog.setval('slack.event_id_seq', 17, true);
SELECT pg_catalog.setval('slack.gap_id_seq', 2, true);
SELECT pg_catalog.setval('slack.import_id_seq', 2, true);
SELECT pg_catalog.setval('slack.instance_id_seq', 2, true);
SELECT pg_catalog.setval('slack.job_run_id_seq', 4, true);
SELECT pg_catalog.setval('slack.message_discard_id_seq', 1, true);
