create or replace function slack.lock_for_import(weeks jsonb)
returns void
language plpgsql
as $func$
begin
  -- Only one import at a time writes to twelve weeks of a channel, so that imports see each other's messages and reactions.
  perform pg_advisory_xact_lock(1768778863, k.key)
  from
  ( select distinct hashtextextended(c.id, floor(w.week::float8 / 12)::int8)::bit(31)::int4 as key
    from jsonb_each(weeks) c (id, weeks)
    cross join lateral jsonb_array_elements_text(c.weeks) w (week)
    order by key
  ) k;
  -- Live events and imports wait for each other's commit; imports share the locks. A batch has messages in nearly all
  -- buckets of slack.message_bucket(), so it locks all of them.
  perform pg_advisory_xact_lock_shared(1936482657, b.bucket)
  from (select generate_series(0, 31) as bucket order by bucket) b;
end
$func$;
comment on function slack.lock_for_import(jsonb) is
  'Takes the locks under which an import may look at messages of these weeks since 1970, {"channel_id": [week, …]}, and write what is missing.';

create or replace function slack.import_account(import_id int8)
returns jsonb
language sql stable
as $func$
  with file as materialized
  ( select f.account from slack.import_file f where f.import_id = import_account.import_id )
  , plain as
  ( select a.key, sum(a.value::int8) as n
    from file f
    cross join lateral jsonb_each(f.account) a (key, value)
    where jsonb_typeof(a.value) = 'number'
    group by a.key
  )
  , nested as
  ( select a.key, b.key as what, sum(b.value::int8) as n
    from file f
    cross join lateral jsonb_each(f.account) a (key, value)
    cross join lateral jsonb_each(a.value) b (key, value)
    where jsonb_typeof(a.value) = 'object'
    group by a.key, b.key
  )
  select coalesce((select jsonb_object_agg(p.key, p.n) from plain p), '{}')
  || coalesce((select jsonb_object_agg(n.key, n.counts) from (select n.key, jsonb_object_agg(n.what, n.n) as counts from nested n group by n.key) n), '{}')
$func$;
comment on function slack.import_account(int8) is
  'What became of all records that the import has committed, from slack.import_file: {"read", "inserted", …, "discarded": {rule: n}, "skipped": {reason: n}}.';
