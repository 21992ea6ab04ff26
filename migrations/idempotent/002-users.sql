create or replace function slack.user_attributes(event jsonb)
returns jsonb
immutable parallel safe
return
( select slack.versioned
  ( jsonb_build_object
    ( 'team_id', slack.of_type(u -> 'team_id', 'string')
    , 'user_name', slack.of_type(u -> 'name', 'string')
    , 'real_name', coalesce(slack.of_type(u -> 'real_name', 'string'), slack.of_type(p -> 'real_name', 'string'))
    , 'display_name', slack.of_type(p -> 'display_name', 'string')
    , 'real_name_normalized', slack.of_type(p -> 'real_name_normalized', 'string')
    , 'display_name_normalized', slack.of_type(p -> 'display_name_normalized', 'string')
    , 'email', slack.of_type(p -> 'email', 'string')
    , 'tz', slack.of_type(u -> 'tz', 'string')
    , 'tz_label', slack.of_type(u -> 'tz_label', 'string')
    , 'tz_offset', slack.integer_of(u -> 'tz_offset', -2147483648, 2147483647)
    , 'deleted', slack.of_type(u -> 'deleted', 'boolean')
    , 'is_bot', slack.of_type(u -> 'is_bot', 'boolean')
    , 'updated', slack.integer_of(u -> 'updated', 0, 99999999999999)
    )
  , coalesce(slack.integer_of(u -> 'updated', 0, 99999999999999)::numeric, event_ts, 0)
  , coalesce(event_ts, 0)
  )
  from (values (event -> 'user', event -> 'user' -> 'profile', slack.number_of(event -> 'event_ts'))) v (u, p, event_ts)
);
comment on function slack.user_attributes(jsonb) is
  'The attributes of the user in {"user": {…}, "event_ts": …}, with their recency: user.updated, then event_ts. A value that does not have its column''s type is left out.';

create or replace function slack.upsert_user(event jsonb)
returns bool
language plpgsql
as $func$
declare
  user_id constant text := slack.text_of(event -> 'user', 'id');
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
  'Stores {"user": {…}}: a user_change, team_join or user_profile_changed event, or a user of users.list. Each attribute keeps its newest value; an attribute that the payload lacks does not change. Returns whether the row changed.';
