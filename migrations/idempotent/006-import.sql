create or replace function slack.lock_for_import(weeks jsonb)
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
