create or replace function slack.to_timestamptz(ts text)
returns timestamptz
-- PostgreSQL multiplies an interval by a float of 53 bits, so microseconds alone would be inexact from the year 2255 on.
-- Whole days of 24 hours plus the microseconds of the last day are exact for all times.
return timestamptz 'epoch'
+ (ts::numeric * 1000000)::int8 / 86400000000 * interval '24 hours'
+ (ts::numeric * 1000000)::int8 % 86400000000 * interval '1 microsecond';
comment on function slack.to_timestamptz(text) is
  'Converts Slack''s "seconds.microseconds" to a time, exact to the microsecond. Raises an error if the text is not a number.';

create or replace function slack.to_uuid(value text)
returns uuid
immutable parallel safe
return case when value ~ '^[0-9a-fA-F]{8}((-[0-9a-fA-F]{4}){3}-|[0-9a-fA-F]{12})[0-9a-fA-F]{12}$' then value::uuid end;
comment on function slack.to_uuid(text) is 'Converts the text to a uuid; null if it is not one.';

create or replace function slack.to_bool(value jsonb)
returns bool
immutable parallel safe
return case value when 'true' then true when 'false' then false end;
comment on function slack.to_bool(jsonb) is 'Converts JSON true or false to bool; null for anything else.';

create or replace function slack.present(value jsonb)
returns jsonb
immutable parallel safe
return nullif(value, 'null');
comment on function slack.present(jsonb) is 'The value; SQL null for JSON null.';

create or replace function slack.merge_attributes(a jsonb, b jsonb)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(k.key, greatest(a -> k.key, b -> k.key)), '{}')
  from (select jsonb_object_keys(a) union select jsonb_object_keys(b)) k (key)
);
comment on function slack.merge_attributes(jsonb, jsonb) is
  'Merges two sets of attributes: each attribute gets the newer value. A set is {"name": [time, event_ts, value]}. jsonb compares such arrays from left to right, so the order of merges and repeated merges do not change the result.';

create or replace function slack.versioned(attributes jsonb, version numeric, event_ts numeric)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(key, jsonb_build_array(version, event_ts, value)), '{}')
  from jsonb_each(attributes)
  where value <> 'null'
);
comment on function slack.versioned(jsonb, numeric, numeric) is
  'Converts {"name": value} to attributes with one recency. Null values are left out, because an attribute that a payload lacks must not change.';

create or replace function slack.to_ts(ts timestamptz)
returns text
-- extract(epoch from …) of a timestamptz depends on no setting, so the function is immutable
immutable parallel safe
return extract(epoch from ts)::text;
comment on function slack.to_ts(timestamptz) is 'Converts a time to Slack''s "seconds.microseconds".';

create or replace function slack.text_of(object jsonb, key text)
returns text
immutable parallel safe
return case when jsonb_typeof(object -> key) = 'string' then object ->> key end;
comment on function slack.text_of(jsonb, text) is
  'The string at the key; null if there is none. A value of another type also yields null, while ->> would yield its JSON text.';

create or replace function slack.time_of(object jsonb, key text)
returns timestamptz
-- One expression without a subquery, so that PostgreSQL inlines it.
return case
  when object ->> key ~ '^[0-9]{1,12}(\.[0-9]{1,9})?$' then
    case when (object ->> key)::numeric < 253402300799.9999995 then slack.to_timestamptz(object ->> key) end
end;
comment on function slack.time_of(jsonb, text) is
  'Converts Slack''s "seconds.microseconds" at the key, a string or a number, to a time; null for anything else, and for times from the year 10000 on.';

create or replace function slack.id_of(object jsonb, key text)
returns text
immutable parallel safe
return case
  when jsonb_typeof(object -> key) = 'object' then slack.text_of(object -> key, 'id')
  else slack.text_of(object, key)
end;
comment on function slack.id_of(jsonb, text) is 'The id at the key: the string there, or the id of the object there; null for anything else.';

create or replace function slack.of_type(value jsonb, type text)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = type then value end;
comment on function slack.of_type(jsonb, text) is 'The value if jsonb_typeof() says it has this type; null otherwise.';

create or replace function slack.number_of(value jsonb)
returns numeric
immutable parallel safe
return case
  when jsonb_typeof(value) = 'number' then value::numeric
  when jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[0-9]{1,18}(\.[0-9]{1,9})?$' then (value #>> '{}')::numeric
end;
comment on function slack.number_of(jsonb) is 'A JSON number, or a number in a string, such as Slack''s times; null for anything else.';

create or replace function slack.integer_of(value jsonb, low numeric, high numeric)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = 'number' then
  case when value::numeric between low and high and value::numeric = trunc(value::numeric) then value end
end;
comment on function slack.integer_of(jsonb, numeric, numeric) is 'The value if it is a whole number within the bounds; null otherwise.';
