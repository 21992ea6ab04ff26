create or replace function slack.user_attributes(event jsonb)
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
