-- How much is written where. It is counted from the messages each time, so it is right after edits, deletions and imports.

create or replace function slack.get_activity
( since timestamptz
, until timestamptz
, channels text[] default null
, users text[] default null
, visible text[] default null
, sums bool default false
)
returns table
( day date
, channel_id text
, messages int8
, people int8
, threads int8
, reactions int8
, first_reply_p50 float8
, first_reply_p90 float8
)
language plpgsql stable
rows 100
as $func$
declare
  -- First replies are found in the documents. The job "search" makes them from the newest message to the oldest.
  known_since constant timestamptz :=
  ( select case when p.finished_at is not null then '-infinity' else date_trunc('day', p.ts, 'UTC') + interval '24 hours' end
    from slack.search_progress p
  );
begin
  -- It is planned with the times known, each time: it reads and locks no other chunks.
  return query execute
  $sql$
    with posted as materialized
    ( select m.channel_id, m.ts, m.thread_ts, m.user_id, m.reactions
      from slack.message m
      where m.ts >= $1
      and m.ts < $2
      and ($3 is null or m.channel_id = any ($3))
      and ($4 is null or m.user_id = any ($4))
      and slack.is_visible(m.channel_id, $5)
    )
    -- Channel by channel, so that the cost does not grow with the number of all replies.
    , reply as
    ( select s.channel_id, s.thread_ts, min(s.ts) as ts
      from (select distinct p.channel_id from posted p) c
      join slack.message_search s
      on s.channel_id = c.channel_id
      and ($3 is null or s.channel_id = any ($3))
      and s.thread_ts >= greatest($1, $6)
      and s.thread_ts < $2
      and s.ts > s.thread_ts
      group by s.channel_id, s.thread_ts
    )
    select
      (p.ts at time zone 'UTC')::date
    , p.channel_id
    , count(*)
    , count(distinct p.user_id)
    , count(distinct (p.channel_id, p.thread_ts)) filter (where p.thread_ts <> p.ts)
    , coalesce(sum(jsonb_array_length(p.reactions)), 0)
    , percentile_cont(0.5) within group (order by extract(epoch from r.ts - p.ts)::float8)
    , percentile_cont(0.9) within group (order by extract(epoch from r.ts - p.ts)::float8)
    from posted p
    left join reply r on r.channel_id = p.channel_id and r.thread_ts = p.ts
    group by
  $sql$ || case when sums then 'grouping sets ((1), (2), ())' else '1, 2' end
  using since, until, channels, users, visible, known_since;
end
$func$;
comment on function slack.get_activity(timestamptz, timestamptz, text[], text[], text[], bool) is
  'What was written from since to before until, by day (UTC) and channel, as in slack.activity_daily. With channels and users (ids), only in these channels and by these users. visible: see slack.is_visible(). With sums, instead: of all channels by day (channel_id is null), of the whole period by channel (day is null), and of all (both are null). Days of a channel without messages have no row. It reads only the messages that it counts, so it is faster than the view for some channels.';

create or replace function slack.message_weeks()
returns setof timestamptz
language plpgsql stable
as $func$
declare
  first timestamptz := '2000-01-01 00:00 UTC';
begin
  if exists (select from slack.search_progress p where p.finished_at is not null) then
    return query select distinct w.week from slack.channel_week w;
    return;
  end if;

  -- The job "search" has not finished, so not all weeks are known. To look for the first message would lock all chunks.
  if not exists (select from pg_catalog.pg_inherits i where i.inhparent = 'slack.message'::regclass) then
    select min(m.ts) into first from slack.message m where m.ts > '-infinity';
  end if;
  return query select t from generate_series(date_bin('7 days', first, 'epoch'), now() + interval '24 hours', interval '168 hours') t;
end
$func$;
comment on function slack.message_weeks() is
  'The weeks that have messages, by their begin, a Thursday, 00:00 UTC. Some of them may have none. slack.activity_daily calls it.';

create or replace view slack.activity_daily as
select (d.begin at time zone 'UTC')::date as day, a.channel_id, a.messages, a.people, a.threads, a.reactions
, a.first_reply_p50, a.first_reply_p90
from slack.message_weeks() w (week)
cross join lateral generate_series(w.week, w.week + interval '144 hours', interval '24 hours') d (begin)
cross join lateral slack.get_activity(d.begin, d.begin + interval '24 hours') a;
comment on view slack.activity_daily is 'What was written each day in each channel. It is counted when it is read. A condition on day limits what is read. Days of a channel without messages have no row.';
comment on column slack.activity_daily.day is 'The day, from 00:00 to 24:00 UTC.';
comment on column slack.activity_daily.channel_id is 'The channel.';
comment on column slack.activity_daily.messages is 'Messages that were posted on the day and are not deleted, replies included.';
comment on column slack.activity_daily.people is 'Users who posted them. Bots without a user do not count.';
comment on column slack.activity_daily.threads is 'Threads that got a reply on the day.';
comment on column slack.activity_daily.reactions is 'Reactions that the messages of the day have now.';
comment on column slack.activity_daily.first_reply_p50 is 'Seconds from a message of the day to its first reply, whenever that came: the median of those with replies. Null if none has one, and while the job "search" has not reached the day.';
comment on column slack.activity_daily.first_reply_p90 is 'The same: 90 % of the first replies came within so many seconds.';
