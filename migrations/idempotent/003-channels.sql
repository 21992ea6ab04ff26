create or replace function slack.channel_type_of(channel jsonb)
returns text
immutable parallel safe
return case
  when channel -> 'is_im' = 'true' then 'im'
  when channel -> 'is_mpim' = 'true' then 'mpim'
  when channel -> 'is_private' = 'true' or channel -> 'is_group' = 'true' then 'group'
  when channel -> 'is_private' = 'false' or channel -> 'is_channel' = 'true' then 'channel'
end;
comment on function slack.channel_type_of(jsonb) is
  'The type of a channel by the flags of Slack''s channel object, as in slack.message.channel_type; null without flags.';

create or replace function slack.channel_attributes(event jsonb)
returns jsonb
immutable parallel safe
return
( select case
    when jsonb_typeof(c) = 'object' then
      slack.versioned
      ( jsonb_build_object
        ( 'channel_name', slack.of_type(c -> 'name', 'string')
        , 'is_archived', slack.of_type(c -> 'is_archived', 'boolean')
        , 'is_shared', slack.of_type(c -> 'is_shared', 'boolean')
        , 'is_ext_shared', slack.of_type(c -> 'is_ext_shared', 'boolean')
        , 'is_org_shared', slack.of_type(c -> 'is_org_shared', 'boolean')
        , 'channel_type', slack.channel_type_of(c)
        , 'updated', slack.integer_of(c -> 'updated', 0, 99999999999999999)
        )
      , version
      , coalesce(event_ts, 0)
      )
      -- topic and purpose have their own times, which can be later than channel.updated
      || slack.versioned
      ( jsonb_build_object('topic', slack.of_type(c -> 'topic' -> 'value', 'string'))
      , greatest(version, slack.number_of(c -> 'topic' -> 'last_set'))
      , coalesce(event_ts, 0)
      )
      || slack.versioned
      ( jsonb_build_object('purpose', slack.of_type(c -> 'purpose' -> 'value', 'string'))
      , greatest(version, slack.number_of(c -> 'purpose' -> 'last_set'))
      , coalesce(event_ts, 0)
      )
      -- channel.updated does not change when the app joins or leaves, so the time of the list counts
      || slack.versioned
      ( jsonb_build_object('is_member', slack.of_type(c -> 'is_member', 'boolean'))
      , coalesce(slack.number_of(event -> 'listed_at'), version)
      , coalesce(event_ts, 0)
      )
    else
      slack.versioned
      ( case coalesce(event ->> 'subtype', event ->> 'type')
          when 'channel_topic' then jsonb_build_object('topic', slack.of_type(event -> 'topic', 'string'))
          when 'group_topic' then jsonb_build_object('topic', slack.of_type(event -> 'topic', 'string'))
          when 'channel_purpose' then jsonb_build_object('purpose', slack.of_type(event -> 'purpose', 'string'))
          when 'group_purpose' then jsonb_build_object('purpose', slack.of_type(event -> 'purpose', 'string'))
          when 'channel_name' then jsonb_build_object('channel_name', slack.of_type(event -> 'name', 'string'))
          when 'group_name' then jsonb_build_object('channel_name', slack.of_type(event -> 'name', 'string'))
          when 'channel_archive' then '{"is_archived": true}'
          when 'group_archive' then '{"is_archived": true}'
          when 'channel_unarchive' then '{"is_archived": false}'
          when 'group_unarchive' then '{"is_archived": false}'
          when 'channel_deleted' then '{"is_deleted": true}'
          when 'group_deleted' then '{"is_deleted": true}'
          when 'channel_convert_to_private' then '{"channel_type": "group"}'
          when 'channel_convert_to_public' then '{"channel_type": "channel"}'
          when 'channel_left' then '{"is_member": false}'
          when 'group_left' then '{"is_member": false}'
          when 'member_left_channel' then '{"is_member": false}'
          when 'member_joined_channel' then '{"is_member": true}'
          when 'channel_shared' then '{"is_shared": true, "is_ext_shared": true}'
          when 'channel_unshared' then jsonb_build_object
            ( 'is_shared', coalesce(slack.to_bool(event -> 'is_ext_shared'), false)
            , 'is_ext_shared', coalesce(slack.to_bool(event -> 'is_ext_shared'), false)
            )
          when 'channel_id_changed' then jsonb_build_object('successor_id', slack.of_type(event -> 'new_channel_id', 'string'))
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
      ( case when updated > 1e11 then updated / 1000 else updated end -- Slack sends milliseconds
      , event_ts
      , slack.number_of(c -> 'created')
      , 0
      ) as version
    from
    ( select
        event -> 'channel' as c
      , coalesce(slack.number_of(event -> 'event_ts'), slack.number_of(event -> 'ts')) as event_ts
      , case when jsonb_typeof(event -> 'channel') = 'object' then slack.number_of(event -> 'channel' -> 'updated') end as updated
    ) _
  ) _
);
comment on function slack.channel_attributes(jsonb) is
  'The attributes of the channel in an event, or in {"channel": {…}, "listed_at": "…"} of conversations.list, with their recency: channel.updated, else event_ts, else created. For is_member it is listed_at (Slack''s "seconds.microseconds", optional), when the list was read. A member_joined_channel or member_left_channel must be about the app itself. A value that does not have its column''s type is left out.';

create or replace function slack.channel_names(event jsonb)
returns setof text
language sql immutable parallel safe
as $func$
  select n.channel_name
  from
  ( select slack.text_of(event -> 'channel', 'name')
    union
    select case jsonb_typeof(e.value) when 'string' then e.value #>> '{}' end
    from jsonb_array_elements
      (case jsonb_typeof(event -> 'channel' -> 'previous_names') when 'array' then event -> 'channel' -> 'previous_names' end) e (value)
    union
    select slack.text_of(event, k.key)
    from unnest('{name,old_name}'::text[]) k (key)
    where event ->> 'subtype' in ('channel_name', 'group_name')
  ) n (channel_name)
  where n.channel_name <> ''
$func$;
comment on function slack.channel_names(jsonb) is 'The present and earlier names of the channel in an event, or in {"channel": {…}}.';

create or replace function slack.without_list_time(attributes jsonb)
returns jsonb
immutable parallel safe
return attributes || jsonb_build_object('is_member', attributes -> 'is_member' -> 2);
comment on function slack.without_list_time(jsonb) is 'The attributes of a channel without the recency of is_member.';

create or replace function slack.channel_of(event jsonb)
returns text
immutable parallel safe
return coalesce(slack.text_of(event, 'old_channel_id'), slack.id_of(event, 'channel'));
comment on function slack.channel_of(jsonb) is 'The id of the channel that slack.upsert_channel() stores.';

create or replace function slack.upsert_channel(event jsonb)
returns bool
language plpgsql
as $func$
declare
  channel_id constant text := slack.channel_of(event);
  before slack.channel;
  merged jsonb;
  is_new bool;
begin
  insert into slack.channel (id, channel_name)
  values (channel_id, channel_id)
  on conflict (id) do nothing;
  is_new := found;

  select c.*
  into strict before
  from slack.channel c
  where c.id = channel_id
  for update;
  merged := slack.merge_attributes(before.attributes, slack.channel_attributes(event));

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
  , channel_type = coalesce(merged -> 'channel_type' ->> 2, c.channel_type)
  , successor_id = coalesce(merged -> 'successor_id' ->> 2, c.successor_id)
  , updated = coalesce((merged -> 'updated' ->> 2)::numeric::int8, c.updated)
  where c.id = channel_id
  and c.attributes is distinct from merged;
  -- Each list has a newer time of is_member; that alone is no change.
  is_new := is_new or slack.without_list_time(before.attributes) is distinct from slack.without_list_time(merged);

  if not (merged -> 'is_member' ->> 2)::bool and before.heard_since is not null then
    perform slack.leave_channel
    ( before
    -- A list does not tell when the app left: it was a member when the last list or event said so.
    , case when event ? 'listed_at' then before.attributes else merged end -> 'is_member' -> 0
    );
  elsif event ->> 'type' = 'member_joined_channel' and (merged -> 'is_member' ->> 2)::bool then
    perform slack.hear_channel(channel_id, slack.time_of(event, 'event_ts'));
  end if;

  insert into slack.channel_name as known (channel_name, channel_id, is_by_message)
  select n.channel_name, channel_id, coalesce(event ->> 'subtype' in ('channel_name', 'group_name'), false)
  from slack.channel_names(event) n (channel_name)
  order by n.channel_name
  on conflict on constraint channel_name_pkey do update set is_by_message = false
  where known.is_by_message
  and not excluded.is_by_message;
  return is_new;
end
$func$;
comment on function slack.upsert_channel(jsonb) is
  'Stores {"channel": {…}} of conversations.list, or a channel event of any kind. Each attribute keeps its newest value; an attribute that the payload lacks does not change. Returns whether the row changed.';
