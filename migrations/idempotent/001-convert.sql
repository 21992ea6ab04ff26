create or replace function slack.to_timestamptz(ts text)
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
