create or replace function slack.channel_attributes(event jsonb)
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
