create or replace function slack.to_timestamptz(ts text)
returns timestamptz
-- PostgreSQL multiplies an interval by a float of 53 bits: microseconds alone would be inexact from the year 2255 on.
-- Whole days of 24 hours and the microseconds of the last one are exact for all times.
return timestamptz 'epoch'
+ (ts::numeric * 1000000)::int8 / 86400000000 * interval '24 hours'
+ (ts::numeric * 1000000)::int8 % 86400000000 * interval '1 microsecond';
comment on function slack.to_timestamptz(text) is
  'Slack''s "seconds.microseconds" as a time, exact to the microsecond. Raises where the text is no number.';

create or replace function slack.to_uuid(value text)
returns uuid
immutable parallel safe
return case when value ~ '^[0-9a-fA-F]{8}((-[0-9a-fA-F]{4}){3}-|[0-9a-fA-F]{12})[0-9a-fA-F]{12}$' then value::uuid end;
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

create or replace function slack.text_of(object jsonb, key text)
returns text
immutable parallel safe
return case when jsonb_typeof(object -> key) = 'string' then object ->> key end;
comment on function slack.text_of(jsonb, text) is
  'The string at the key; null where there is none or a value of another type, of which ->> alone would make JSON text.';

create or replace function slack.time_of(object jsonb, key text)
returns timestamptz
-- One expression without a subquery, so that it becomes a part of the query that calls it.
return case
  when object ->> key ~ '^[0-9]{1,12}(\.[0-9]{1,9})?$' then
    case when (object ->> key)::numeric < 253402300799.9999995 then slack.to_timestamptz(object ->> key) end
end;
comment on function slack.time_of(jsonb, text) is
  'Slack''s "seconds.microseconds" at the key, a string or a number, as a time; null for anything else, and from the year 10000 on.';

create or replace function slack.id_of(object jsonb, key text)
returns text
immutable parallel safe
return case
  when jsonb_typeof(object -> key) = 'object' then slack.text_of(object -> key, 'id')
  else slack.text_of(object, key)
end;
comment on function slack.id_of(jsonb, text) is 'The id at the key: a string, or the id of an object; null for anything else.';

create or replace function slack.of_type(value jsonb, type text)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = type then value end;
comment on function slack.of_type(jsonb, text) is 'The value where jsonb_typeof() of it is this type; null for anything else.';

create or replace function slack.number_of(value jsonb)
returns numeric
immutable parallel safe
return case
  when jsonb_typeof(value) = 'number' then value::numeric
  when jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[0-9]{1,18}(\.[0-9]{1,9})?$' then (value #>> '{}')::numeric
end;
comment on function slack.number_of(jsonb) is 'A JSON number, also where a string holds it, as Slack''s times do; null for anything else.';

create or replace function slack.integer_of(value jsonb, low numeric, high numeric)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = 'number' then
  case when value::numeric between low and high and value::numeric = trunc(value::numeric) then value end
end;
comment on function slack.integer_of(jsonb, numeric, numeric) is 'A whole JSON number within the bounds; null for anything else.';
