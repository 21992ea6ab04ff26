-- The database of tiger-slack 0.1.0, made by: python scripts/upgrade_dump.py 0.1.0 4c8480f
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
insert into slack.migration values ('idempotent/001-convert.sql', '0.1.0', '2023-11-14Z', $migration$create or replace function slack.to_timestamptz(ts text)
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
$migration$);
insert into slack.migration values ('idempotent/002-users.sql', '0.1.0', '2023-11-14Z', $migration$create or replace function slack.user_attributes(event jsonb)
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
returns void
language plpgsql
as $func$
declare
  user_id constant text := event -> 'user' ->> 'id';
  merged jsonb;
begin
  insert into slack."user" (id, user_name)
  values (user_id, user_id)
  on conflict (id) do nothing;

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
end
$func$;
comment on function slack.upsert_user(jsonb) is
  'Stores {"user": {…}}: a user_change, team_join or user_profile_changed event, or a user of users.list. Each attribute keeps its newest value; what the payload leaves out stays as it is.';
$migration$);
insert into slack.migration values ('idempotent/003-channels.sql', '0.1.0', '2023-11-14Z', $migration$create or replace function slack.channel_attributes(event jsonb)
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

create or replace function slack.upsert_channel(event jsonb)
returns void
language plpgsql
as $func$
declare
  channel_id constant text := coalesce
  ( event ->> 'old_channel_id'
  , case jsonb_typeof(event -> 'channel') when 'object' then event -> 'channel' ->> 'id' else event ->> 'channel' end
  );
  merged jsonb;
begin
  insert into slack.channel (id, channel_name)
  values (channel_id, channel_id)
  on conflict (id) do nothing;

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
end
$func$;
comment on function slack.upsert_channel(jsonb) is
  'Stores {"channel": {…}} of conversations.list, or a channel event of any kind. Each attribute keeps its newest value; what the payload leaves out stays as it is.';
$migration$);
insert into slack.migration values ('idempotent/004-messages.sql', '0.1.0', '2023-11-14Z', $migration$create or replace function slack.message_content(event jsonb)
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
  select jsonb_agg(jsonb_build_object('user_id', r.user_id, 'reaction', r.reaction) order by r.event_ts, r.user_id, r.reaction)
  from slack.reaction r
  where r.channel_id = reactions.channel_id
  and r.ts = reactions.ts
  and r.is_present
$func$;
comment on function slack.reactions(text, timestamptz) is 'The reactions of a message that are present now, oldest first; null where there are none.';

create or replace function slack.lock_messages(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  -- Whoever writes about a message holds its bucket until commit: a message and its deletion or reaction, written by two
  -- instances at once, would not see each other. Buckets bound the number of locks; their order excludes deadlocks.
  perform pg_advisory_xact_lock(1936482657, b.bucket)
  from
  ( select distinct hashtextextended(i.channel_id, extract(epoch from i.message_ts)::int8)::bit(7)::int4 as bucket
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
insert into slack.migration values ('idempotent/005-ingest.sql', '0.1.0', '2023-11-14Z', $migration$create or replace function slack.first_deliveries(items slack.routed_event[])
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

create or replace function slack.ingest(batch jsonb)
returns jsonb
language plpgsql
as $func$
declare
  items slack.routed_event[];
  discarded jsonb := '{}';
begin
  -- Locks are taken in one order everywhere, so that instances cannot deadlock:
  -- messages, then event_ids, users and channels, each in their sorted order.
  items := array
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
  );
  perform slack.lock_messages(items);
  items := slack.first_deliveries(items);

  if exists (select from slack.message_discard) then
    select coalesce(jsonb_object_agg(d.event_id, d.rule), '{}')
    into discarded
    from
    ( select i.event_id, slack.discarded_by(slack.message_content(i.event)) as rule
      from unnest(items) i
      where 'message' = any (i.effects)
    ) d
    where d.rule is not null;
  end if;

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

  return jsonb_build_object
  ( 'first', (select coalesce(jsonb_agg(i.event_id), '[]') from unnest(items) i)
  , 'discarded', discarded
  );
end
$func$;
comment on function slack.ingest(jsonb) is
  'Takes a batch of routed events (an array of objects with the fields of slack.routed_event, times of Slack as its text) into the tables: for each first delivery an audit row and its effects. Returns {"first": [event_id], "discarded": {event_id: rule}}. One call is one transaction of the ingestion.';
$migration$);
insert into slack.migration values ('incremental/001-tables.sql', '0.1.0', '2023-11-14Z', $migration$-- The tables. slack.version and slack.migration belong to the migration runner and are already here.

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
insert into slack.migration values ('incremental/002-hypertables.sql', '0.1.0', '2023-11-14Z', $migration$-- With TimescaleDB, messages and events become hypertables; without it they stay ordinary tables.
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
insert into slack.version values ('0.1.0', '2023-11-14Z');
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
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (1, '2023-11-14 21:56:44.0001+00', 'channel_archive', NULL, '{"type": "channel_archive", "user": "UANA", "channel": "COLD", "event_ts": "1699999004.000100"}', NULL, 'EvArchive', '2023-11-14 21:56:45+00', 'stored', NULL, 'T1', 'COLD', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (2, '2023-11-14 22:17:20.0001+00', 'app_mention', NULL, '{"type": "app_mention", "user": "UANA", "channel": "COPS", "event_ts": "1700000240.000100"}', NULL, 'EvAudit', '2023-11-14 22:17:20.4+00', 'audit', NULL, 'T1', 'COPS', 'UANA', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (3, '2023-11-26 12:00:00.0001+00', 'message', 'bot_message', '{"ts": "1701000000.000100", "text": "Build failed", "type": "message", "bot_id": "B1", "channel": "DANA", "subtype": "bot_message", "event_ts": "1701000000.000100", "attachments": [{"fallback": "main is red"}], "channel_type": "im"}', NULL, 'EvBot', '2023-11-26 12:00:00.4+00', 'stored', NULL, 'T1', 'DANA', NULL, '2023-11-26 12:00:00.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (4, '2023-11-14 21:56:42.0001+00', 'channel_created', NULL, '{"type": "channel_created", "channel": {"id": "COPS", "name": "ops", "created": 1699999002, "creator": "UANA"}, "event_ts": "1699999002.000100"}', NULL, 'EvChannelA', '2023-11-14 21:56:43+00', 'stored', NULL, 'T1', 'COPS', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (5, '2023-11-14 22:16:30.0001+00', 'message', 'message_deleted', '{"ts": "1700000190.000100", "type": "message", "channel": "COPS", "subtype": "message_deleted", "event_ts": "1700000190.000100", "deleted_ts": "1700000180.000100"}', NULL, 'EvDelete', '2023-11-14 22:16:30.4+00', 'stored', NULL, 'T1', 'COPS', NULL, '2023-11-14 22:16:20.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (6, '2023-11-14 22:16:50.0001+00', 'reaction_added', NULL, '{"item": {"ts": "1690000000.000100", "type": "message", "channel": "COPS"}, "type": "reaction_added", "user": "UANA", "event_ts": "1700000210.000100", "reaction": "wave"}', NULL, 'EvEarly', '2023-11-14 22:16:50.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-07-22 04:26:40.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (7, '2023-11-14 22:15:20.0003+00', 'message', 'message_changed', '{"ts": "1700000120.000300", "type": "message", "channel": "COPS", "message": {"ts": "1700000060.000200", "text": "Yes, after supper", "type": "message", "user": "UBEN", "edited": {"ts": "1700000120.000000", "user": "UBEN"}, "thread_ts": "1700000000.000100", "parent_user_id": "UANA"}, "subtype": "message_changed", "event_ts": "1700000120.000300", "channel_type": "channel"}', NULL, 'EvEdit', '2023-11-14 22:15:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:14:20.0002+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (8, '2023-11-14 22:17:10.0001+00', 'message', NULL, '{"type": "message"}', '{"class": "MalformedEvent", "message": "no channel"}', 'EvFailed', '2023-11-14 22:17:10.4+00', 'failed', NULL, 'T1', NULL, NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (9, '2023-11-16 02:00:00.0001+00', 'message', 'file_share', '{"ts": "1700100000.000100", "text": "", "type": "message", "user": "UANA", "files": [{"id": "F1", "name": "invoice.pdf", "title": "Invoice of May"}], "upload": false, "channel": "COPS", "subtype": "file_share", "event_ts": "1700100000.000100", "channel_type": "channel"}', NULL, 'EvFile', '2023-11-16 02:00:00.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-11-16 02:00:00.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (10, '2023-11-14 22:16:20.0001+00', 'message', NULL, '{"ts": "1700000180.000100", "text": "wrong channel", "type": "message", "user": "UBEN", "channel": "COPS", "event_ts": "1700000180.000100", "channel_type": "channel"}', NULL, 'EvGone', '2023-11-14 22:16:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:16:20.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (11, '2023-11-14 22:17:00.0001+00', 'message', 'channel_join', '{"ts": "1700000220.000100", "text": "<@UBEN> has joined the channel", "type": "message", "user": "UBEN", "channel": "COPS", "subtype": "channel_join", "event_ts": "1700000220.000100"}', NULL, 'EvJoin', '2023-11-14 22:17:00.4+00', 'discarded', 1, 'T1', 'COPS', 'UBEN', '2023-11-14 22:17:00.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (12, '2023-11-14 22:13:20.0001+00', 'message', NULL, '{"ts": "1700000000.000100", "team": "T1", "text": "Shall we deploy the <https://example.com|invoice service>? 🚀", "type": "message", "user": "UANA", "blocks": [{"type": "rich_text", "block_id": "b", "elements": []}], "channel": "COPS", "event_ts": "1700000000.000100", "channel_type": "channel", "client_msg_id": "11111111-2222-4333-8444-555555555555"}', NULL, 'EvParent', '2023-11-14 22:13:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UANA', '2023-11-14 22:13:20.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (13, '2023-11-14 22:16:40.0001+00', 'reaction_added', NULL, '{"item": {"ts": "1700000000.000100", "type": "message", "channel": "COPS"}, "type": "reaction_added", "user": "UBEN", "event_ts": "1700000200.000100", "reaction": "eyes", "item_user": "UANA"}', NULL, 'EvReaction', '2023-11-14 22:16:40.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:13:20.0001+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (14, '2023-11-14 21:56:43.0001+00', 'channel_rename', NULL, '{"type": "channel_rename", "channel": {"id": "COPS", "name": "operations", "created": 1699999002}, "event_ts": "1699999003.000100"}', NULL, 'EvRename', '2023-11-14 21:56:44+00', 'stored', NULL, 'T1', 'COPS', NULL, NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (15, '2023-11-14 22:14:20.0002+00', 'message', NULL, '{"ts": "1700000060.000200", "text": "Yes, after lunch", "type": "message", "user": "UBEN", "channel": "COPS", "event_ts": "1700000060.000200", "thread_ts": "1700000000.000100", "channel_type": "channel", "parent_user_id": "UANA"}', NULL, 'EvReply', '2023-11-14 22:14:20.4+00', 'stored', NULL, 'T1', 'COPS', 'UBEN', '2023-11-14 22:14:20.0002+00');
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (16, '2023-11-14 21:56:40.0001+00', 'user_change', NULL, '{"type": "user_change", "user": {"id": "UANA", "tz": "Europe/Madrid", "name": "ana", "is_bot": false, "deleted": false, "profile": {"email": "ana@example.com", "display_name": "Ana", "real_name_normalized": "Ana Diaz", "display_name_normalized": "Ana"}, "team_id": "T1", "updated": 1699998000, "tz_label": "Central European Time", "real_name": "Ana Diaz", "tz_offset": 3600}, "event_ts": "1699999000.000100"}', NULL, 'EvUserA', '2023-11-14 21:56:41+00', 'stored', NULL, 'T1', NULL, 'UANA', NULL);
INSERT INTO slack.event OVERRIDING SYSTEM VALUE VALUES (17, '2023-11-14 21:56:41.0001+00', 'team_join', NULL, '{"type": "team_join", "user": {"id": "UBEN", "name": "ben"}, "event_ts": "1699999001.000100"}', NULL, 'EvUserB', '2023-11-14 21:56:42+00', 'stored', NULL, 'T1', NULL, 'UBEN', NULL);
INSERT INTO slack.message VALUES ('2023-11-14 22:13:20.0001+00', 'COPS', 'T1', 'Shall we deploy the <https://example.com|invoice service>? 🚀', 'message', 'UANA', '[{"type": "rich_text", "block_id": "b", "elements": []}]', '2023-11-14 22:13:20.0001+00', NULL, 'channel', '11111111-2222-4333-8444-555555555555', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[{"user_id": "UBEN", "reaction": "eyes"}]', 'EvParent');
INSERT INTO slack.message VALUES ('2023-11-14 22:14:20.0002+00', 'COPS', NULL, 'Yes, after supper', 'message', 'UBEN', NULL, '2023-11-14 22:15:20.0003+00', '2023-11-14 22:13:20.0001+00', 'channel', NULL, 'UANA', '2023-11-14 22:15:20.0003+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"ts": "1700000120.000000", "user": "UBEN"}', NULL, 'EvEdit');
INSERT INTO slack.message VALUES ('2023-11-16 02:00:00.0001+00', 'COPS', NULL, '', 'message', 'UANA', NULL, '2023-11-16 02:00:00.0001+00', NULL, 'channel', NULL, NULL, NULL, NULL, NULL, '[{"id": "F1", "name": "invoice.pdf", "title": "Invoice of May"}]', NULL, 'file_share', NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, 'EvFile');
INSERT INTO slack.message VALUES ('2023-11-26 12:00:00.0001+00', 'DANA', NULL, 'Build failed', 'message', NULL, NULL, '2023-11-26 12:00:00.0001+00', NULL, 'im', NULL, NULL, NULL, 'B1', '[{"fallback": "main is red"}]', NULL, NULL, 'bot_message', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'EvBot');
INSERT INTO slack.message_discard VALUES (1, '($."subtype" == "channel_join")', 'Joins');
INSERT INTO slack.reaction VALUES ('COPS', '2023-07-22 04:26:40.0001+00', 'UANA', 'wave', true, '2023-11-14 22:16:50.0001+00', 'EvEarly');
INSERT INTO slack.reaction VALUES ('COPS', '2023-11-14 22:13:20.0001+00', 'UBEN', 'eyes', true, '2023-11-14 22:16:40.0001+00', 'EvReaction');
INSERT INTO slack.tombstone VALUES ('COPS', '2023-11-14 22:16:20.0001+00', '2023-11-14 22:16:30.0001+00');
INSERT INTO slack."user" VALUES ('UANA', 'T1', 'ana', 'Ana Diaz', 'Ana', 'Ana Diaz', 'Ana', 'ana@example.com', 'Europe/Madrid', 'Central European Time', 3600, false, false, 1699998000, '{"tz": [1699998000, 1699999000.000100, "Europe/Madrid"], "email": [1699998000, 1699999000.000100, "ana@example.com"], "is_bot": [1699998000, 1699999000.000100, false], "deleted": [1699998000, 1699999000.000100, false], "team_id": [1699998000, 1699999000.000100, "T1"], "updated": [1699998000, 1699999000.000100, 1699998000], "tz_label": [1699998000, 1699999000.000100, "Central European Time"], "real_name": [1699998000, 1699999000.000100, "Ana Diaz"], "tz_offset": [1699998000, 1699999000.000100, 3600], "user_name": [1699998000, 1699999000.000100, "ana"], "display_name": [1699998000, 1699999000.000100, "Ana"], "real_name_normalized": [1699998000, 1699999000.000100, "Ana Diaz"], "display_name_normalized": [1699998000, 1699999000.000100, "Ana"]}');
INSERT INTO slack."user" VALUES ('UBEN', NULL, 'ben', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"user_name": [1699999001.000100, 1699999001.000100, "ben"]}');
SELECT pg_catalog.setval('slack.event_id_seq', 17, true);
SELECT pg_catalog.setval('slack.message_discard_id_seq', 1, true);
