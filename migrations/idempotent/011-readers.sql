-- Functions for those who read the tables. They only read, and search with the caller's rights.

create or replace function slack.find_user_by_email(email text)
returns slack."user"
language sql stable parallel safe
as $func$
  select u.*
  from slack."user" u
  where lower(u.email) = lower(find_user_by_email.email)
  order by u.deleted, u.updated desc nulls last, u.id
  limit 1
$func$;
comment on function slack.find_user_by_email(text) is
  'The user with this e-mail address, in any case; null if there is none. Of several, an active one, then the one that changed last.';

create or replace function slack.find_user_by_user_name(user_name text)
returns slack."user"
language sql stable parallel safe
as $func$
  select u.*
  from slack."user" u
  where lower(u.user_name) = lower(ltrim(find_user_by_user_name.user_name, '@'))
  order by u.deleted, u.updated desc nulls last, u.id
  limit 1
$func$;
comment on function slack.find_user_by_user_name(text) is
  'The user with this handle, in any case, with or without "@"; null if there is none. Of several, an active one, then the one that changed last.';

create or replace function slack.search_user_by_email(pattern text)
returns setof slack."user"
language sql stable parallel safe
as $func$
  select u.*
  from slack."user" u
  where u.email ~* pattern
  order by u.user_name, u.id
$func$;
comment on function slack.search_user_by_email(text) is
  'The users whose e-mail address matches the regular expression, in any case. Raises invalid_regular_expression.';

create or replace function slack.search_user_by_user_name(pattern text)
returns setof slack."user"
language sql stable parallel safe
as $func$
  select u.*
  from slack."user" u
  where u.user_name ~* pattern
  order by u.user_name, u.id
$func$;
comment on function slack.search_user_by_user_name(text) is
  'The users whose handle matches the regular expression, in any case. Raises invalid_regular_expression.';

create or replace function slack.search_user_by_names(pattern text)
returns setof slack."user"
language sql stable parallel safe
as $func$
  select u.*
  from slack."user" u
  where u.user_name ~* pattern
  or u.real_name ~* pattern
  or u.display_name ~* pattern
  or u.real_name_normalized ~* pattern
  or u.display_name_normalized ~* pattern
  order by u.user_name, u.id
$func$;
comment on function slack.search_user_by_names(text) is
  'The users whose handle, real name or display name, with or without diacritics, matches the regular expression, in any case. Raises invalid_regular_expression.';

create or replace function slack.find_channel_by_name(channel_name text)
returns slack.channel
language sql stable parallel safe
as $func$
  with wanted as materialized
  ( select lower(ltrim(find_channel_by_name.channel_name, '#')) as name )
  select c.*
  from wanted w
  join slack.channel c on c.id in
  ( select p.id from slack.channel p where lower(p.channel_name) = w.name
    union
    select n.channel_id from slack.channel_name n where lower(n.channel_name) = w.name
  )
  order by lower(c.channel_name) = w.name desc, c.is_deleted, c.is_archived, c.updated desc nulls last, c.id
  limit 1
$func$;
comment on function slack.find_channel_by_name(text) is
  'The channel with this name, in any case, with or without "#", or that had it earlier; null if there is none. A present name goes before an earlier one, then a channel that is neither deleted nor archived.';

create or replace function slack.search_channel_by_name(pattern text)
returns setof slack.channel
language sql stable parallel safe
as $func$
  select c.*
  from slack.channel c
  where c.channel_name ~* pattern
  order by c.channel_name, c.id
$func$;
comment on function slack.search_channel_by_name(text) is
  'The channels whose name matches the regular expression, in any case. Raises invalid_regular_expression.';

create or replace function slack.get_messages(channel text, times timestamptz[])
returns setof slack.message
language plpgsql stable
-- A custom plan knows the times: it reads and locks no chunks without them.
set plan_cache_mode = force_custom_plan
as $func$
declare
  week record;
begin
  for week in select * from slack.times_by_week(times) loop
    return query
    select m.*
    from slack.message m
    where m.channel_id = channel
    and m.ts between week.first_ts and week.last_ts
    and m.ts = any (week.times)
    order by m.ts;
  end loop;
end
$func$;
comment on function slack.get_messages(text, timestamptz[]) is
  'The messages of a channel with these ts, as far as they are stored. Oldest first. With years of messages it is faster than a join, which looks into every chunk.';

create or replace function slack.get_messages_by_key(channels text[], times timestamptz[])
returns setof slack.message
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $func$
declare
  week record;
begin
  for week in select * from slack.times_by_week(times) loop
    return query
    select m.*
    from (select distinct * from unnest(channels, get_messages_by_key.times)) k (channel_id, ts)
    join slack.message m on m.channel_id = k.channel_id and m.ts = k.ts
    where k.ts between week.first_ts and week.last_ts
    and m.ts between week.first_ts and week.last_ts
    and m.ts = any (week.times);
  end loop;
end
$func$;
comment on function slack.get_messages_by_key(text[], timestamptz[]) is
  'The messages with these channels and ts, as far as they are stored, each pair once; as slack.get_messages(), for several channels.';

create or replace function slack.thread_times(channel text, thread timestamptz)
returns timestamptz[]
language plpgsql stable
set plan_cache_mode = force_custom_plan
as $func$
begin
  -- The job "search" makes documents from the newest message to the oldest.
  if exists (select from slack.search_progress p where p.finished_at is not null or p.ts < thread) then
    return array
    ( select k.ts
      from
      ( select s.ts
        from slack.message_search s
        where s.channel_id = channel
        and s.ts = thread
        union all
        select s.ts
        from slack.message_search s
        where s.channel_id = channel
        and s.thread_ts = thread
        and s.ts > thread
      ) k
      order by k.ts
    );
  end if;
  return array
  ( select k.ts
    from
    ( select m.ts
      from slack.message m
      where m.channel_id = channel
      and m.ts = thread
      union all
      select m.ts
      from slack.message m
      where m.channel_id = channel
      and m.thread_ts = thread
      and m.ts > thread
    ) k
    order by k.ts
  );
end
$func$;
comment on function slack.thread_times(text, timestamptz) is
  'The ts of the messages of a thread, its parent included, the oldest first. `thread` is the parent''s ts. Reads documents in place of messages, as soon as the job "search" has made them. The functions for readers call it.';

create or replace function slack.get_thread_stats(channel text, thread timestamptz)
returns table (num_msgs int8, min_ts timestamptz, max_ts timestamptz, length interval)
language sql stable
as $func$
  select count(*), min(t), max(t), max(t) - min(t)
  from unnest(slack.thread_times(channel, thread)) t
$func$;
comment on function slack.get_thread_stats(text, timestamptz) is
  'The number of messages of a thread, its parent included, the times of the first and the last, and the time between. `thread` is the parent''s ts. Without messages the number is 0 and the rest null.';

create or replace function slack.get_thread_by_range(channel text, thread timestamptz, range tstzrange default null)
returns setof slack.message
language sql stable
as $func$
  select m.*
  from slack.get_messages
  ( channel
  , array(select t from unnest(slack.thread_times(channel, thread)) t where range is null or t <@ range)
  ) m
  order by m.ts
$func$;
comment on function slack.get_thread_by_range(text, timestamptz, tstzrange) is
  'The messages of a thread, its parent included, that were posted in the range; null: all. Oldest first. `thread` is the parent''s ts.';

create or replace function slack.get_thread_from_end(channel text, thread timestamptz, n int8 default 10)
returns setof slack.message
language sql stable
as $func$
  select m.*
  from slack.get_messages
  ( channel
  , array(select t from unnest(slack.thread_times(channel, thread)) t order by t desc limit greatest(n, 0))
  ) m
  order by m.ts
$func$;
comment on function slack.get_thread_from_end(text, timestamptz, int8) is
  'The last n messages of a thread, its parent included. Oldest first. `thread` is the parent''s ts.';

create or replace function slack.channel_messages
( channel text
, since timestamptz
, until timestamptz
, n int8
, newest_first bool
, with_replies bool default false
)
returns setof slack.message
language plpgsql stable
-- A custom plan knows the times: it reads and locks no other chunks.
set plan_cache_mode = force_custom_plan
as $func$
declare
  begins timestamptz[];
  ends timestamptz[];
  edges timestamptz[];
  lower timestamptz;
  upper timestamptz;
  rows int8;
begin
  if not exists (select from pg_catalog.pg_inherits i where i.inhparent = 'slack.message'::regclass) then
    begins := array[since]; -- there are no chunks
    ends := array[until];
  elsif exists (select from slack.search_progress p where p.finished_at is not null) then
    select array_agg(greatest(w.week, since) order by w.week), array_agg(least(w.week + interval '168 hours', until) order by w.week)
    into begins, ends
    from slack.channel_week w
    where w.channel_id = channel
    and w.week < until
    and w.week > since - interval '168 hours';
  else
    -- The job "search" has not finished, so the weeks of older messages are not known: go on in steps of twelve weeks.
    edges := array
    ( select t
      from generate_series(timestamptz '2000-01-01 00:00 UTC', now() + interval '24 hours', interval '2016 hours') t
      where t > since
      and t < until
    );
    begins := since || edges;
    ends := edges || until;
  end if;
  for i in 1 .. coalesce(cardinality(begins), 0) loop
    exit when n <= 0;
    if newest_first then
      lower := begins[cardinality(begins) + 1 - i];
      upper := ends[cardinality(begins) + 1 - i];
      return query
        select m.*
        from slack.message m
        where m.channel_id = channel
        and m.ts >= lower
        and m.ts < upper
        and (with_replies or m.thread_ts is null or m.thread_ts = m.ts or m.subtype = 'thread_broadcast')
        order by m.ts desc
        limit n;
    else
      lower := begins[i];
      upper := ends[i];
      return query
        select m.*
        from slack.message m
        where m.channel_id = channel
        and m.ts >= lower
        and m.ts < upper
        and (with_replies or m.thread_ts is null or m.thread_ts = m.ts or m.subtype = 'thread_broadcast')
        order by m.ts
        limit n;
    end if;
    get diagnostics rows = row_count;
    n := n - rows;
  end loop;
end
$func$;
comment on function slack.channel_messages(text, timestamptz, timestamptz, int8, bool, bool) is
  'The first n messages of a channel from since to before until, or the last n, the newest first. Without replies, unless they were sent to the channel too, or with_replies is true. Where there are chunks, it reads only the weeks in which the channel has messages, one after another.';

create or replace function slack.get_channel_by_range
( channel text
, range tstzrange default tstzrange(now() - interval '1 hour', now(), '[]')
, n int8 default 10
)
returns setof slack.message
language sql stable parallel safe
as $func$
  select m.*
  from slack.channel_messages
  ( channel
  , coalesce(lower(range) + case when lower_inc(range) then interval '0' else interval '1 microsecond' end, '-infinity')
  , coalesce(upper(range) + case when upper_inc(range) then interval '1 microsecond' else interval '0' end, 'infinity')
  , case when isempty(range) then 0 else greatest(n, 0) end
  , true
  , true
  ) m
  order by m.ts
$func$;
comment on function slack.get_channel_by_range(text, tstzrange, int8) is
  'The last n messages of a channel that were posted in the range; null: of all. Replies in threads count too. Oldest first.';

create or replace function slack.is_visible(channel_id text, visible text[])
returns bool
immutable parallel safe
return visible is null or channel_id = any (visible) or ('D*' = any (visible) and channel_id like 'D%');
comment on function slack.is_visible(text, text[]) is
  'Whether a reader who may see only some channels sees this one. visible holds their ids; "D*" stands for all direct messages, whose ids begin with D. Null: all channels.';
