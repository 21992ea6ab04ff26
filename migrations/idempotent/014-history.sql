create or replace function slack.heard_history(channel text, since timestamptz, until timestamptz)
returns tstzmultirange
language sql stable
as $func$
  select case when since < coalesce(until, 'infinity') then tstzmultirange(tstzrange(since, until)) else '{}' end
  - coalesce
    ( ( select range_agg(tstzrange(g.started_at, g.ended_at))
        from slack.gap g
        where g.closed_at is null
        and slack.is_loss(g)
        and (g.channel_id is null or g.channel_id = channel)
      )
    , '{}'
    )
$func$;
comment on function slack.heard_history(text, timestamptz, timestamptz) is
  'The part of a time in which the app was a member of the channel that no open gap covers. A gap that is closed left nothing.';

create or replace function slack.refresh_complete(channel text)
returns void
language plpgsql
as $func$
declare
  heard timestamptz;
  newest tstzrange;
begin
  select c.heard_since
  into heard
  from slack.channel c
  where c.id = channel
  for update;

  -- This statement begins after the lock is held. So it sees the gaps and periods of whoever held it before.
  select r.period
  into newest
  from unnest
  ( case when heard is null then '{}' else slack.heard_history(channel, heard, null) end
    + coalesce((select h.complete from slack.channel_history h where h.channel_id = channel), '{}')
  ) r (period)
  order by lower(r.period) desc
  limit 1;

  update slack.channel c set
    complete_since = lower(newest)
  , complete_until = upper(newest)
  where c.id = channel
  and (c.complete_since, c.complete_until) is distinct from (lower(newest), upper(newest));
end
$func$;
comment on function slack.refresh_complete(text) is
  'Brings slack.channel.complete_since and complete_until of a channel up to date. Locks the channel''s row. Whoever calls it for several channels does so in the order of their ids.';

create or replace function slack.add_history(channel text, periods tstzmultirange)
returns void
language plpgsql
as $func$
begin
  perform from slack.channel c where c.id = channel for update;
  if not isempty(periods) then
    insert into slack.channel_history as h (channel_id, complete)
    values (channel, periods)
    on conflict (channel_id) do update set complete = h.complete + excluded.complete;
  end if;
  perform slack.refresh_complete(channel);
end
$func$;
comment on function slack.add_history(text, tstzmultirange) is 'Notes that the channel is complete in these periods. Locks the channel''s row.';

create or replace function slack.owe_history(channel text, until timestamptz)
returns void
language plpgsql
as $func$
begin
  if exists
  ( select from slack.gap g
    where g.channel_id = channel
    and g.reason = 'joined'
    and g.ended_at >= until
  ) then
    return;
  end if;
  -- If a backfill begins with the gap just now, this waits for it, and finds no row: begun_at is set.
  update slack.gap g set
    ended_at = until
  , grown_at = now()
  , tried_at = null
  , error = null
  where g.channel_id = channel
  and g.reason = 'joined'
  and g.begun_at is null
  and g.closed_at is null;

  if not found then
    insert into slack.gap (reason, started_at, ended_at, channel_id)
    values ('joined', 'epoch', until, channel);
  end if;
end
$func$;
comment on function slack.owe_history(text, timestamptz) is
  'Adds the gap "joined" for the history of a channel until then, unless there is one that ends later. The caller holds the lock of the channel''s row, so that several instances add one gap.';

create or replace function slack.hear_channel(channel text, since timestamptz)
returns void
language plpgsql
as $func$
begin
  update slack.channel c set heard_since = since
  where c.id = channel
  and (c.heard_since is null or c.heard_since < since);
  perform slack.owe_history(channel, since);
  perform slack.refresh_complete(channel);
end
$func$;
comment on function slack.hear_channel(text, timestamptz) is
  'Notes that the app joined a channel: it hears the channel since then, and the history before is owed. Any order and repetition of joins ends the same: the last one counts, and the gap covers all before it. The caller holds the lock of the channel''s row.';

create or replace function slack.leave_channel(channel slack.channel, left_at jsonb)
returns void
language plpgsql
as $func$
declare
  -- After a time without an instance, the event can come before the heartbeat that adds the gap: what is known to be
  -- heard ends with the last heartbeat.
  until constant timestamptz := least
  ( coalesce(to_timestamp((left_at #>> '{}')::float8), channel.heard_since)
  , (select max(n.seen_at) from slack.connection n)
  );
begin
  update slack.channel c set heard_since = null where c.id = channel.id;
  update slack.gap g set
    tried_at = now()
  , error = 'the app left the channel before its history was read'
  where g.channel_id = channel.id
  and g.reason = 'joined'
  and g.closed_at is null;
  perform slack.add_history(channel.id, slack.heard_history(channel.id, channel.heard_since, until));
end
$func$;
comment on function slack.leave_channel(slack.channel, jsonb) is
  'Notes that the app left a channel that it heard: what it heard until then stays complete. left_at is in seconds since 1970. The caller holds the lock of the channel''s row.';

create or replace function slack.is_history_kind(channel_type text, kinds text[])
returns bool
immutable parallel safe
return kinds is null or coalesce(channel_type = any (kinds), kinds @> '{channel,group}');
comment on function slack.is_history_kind(text, text[]) is
  'Whether a channel of this type is of the kinds whose history the app may read; null: of all kinds. If the type is not known, it is one of public or private channels.';

drop function if exists slack.hear_members();
create or replace function slack.hear_members(kinds text[])
returns int8
language plpgsql
as $func$
declare
  channel text;
  n int8 := 0;
begin
  for channel in
    select c.id
    from slack.channel c
    where c.is_member
    and c.heard_since is null
    and slack.is_history_kind(c.channel_type, kinds)
    order by c.id collate "C"
    limit 100
  loop
    perform from slack.channel c where c.id = channel and c.is_member and c.heard_since is null for update;
    if found then
      perform slack.hear_channel(channel, now());
      n := n + 1;
    end if;
  end loop;
  return n;
end
$func$;
comment on function slack.hear_members(text[]) is
  'Notes up to 100 channels of which a list of Slack says that the app is a member, and that were not heard before: they are heard from now on, and their history is owed. kinds has the types of channels whose history the app may read; null: all. Slack sends messages only of these. A connected instance calls it. Returns the number of channels.';

create or replace function slack.stop_hearing(kinds text[])
returns int8
language plpgsql
as $func$
declare
  channel text;
  n int8 := 0;
begin
  for channel in
    select c.id
    from slack.channel c
    where c.heard_since is not null
    and not slack.is_history_kind(c.channel_type, kinds)
    order by c.id collate "C"
    limit 100
  loop
    update slack.channel c set heard_since = null where c.id = channel;
    perform slack.refresh_complete(channel);
    n := n + 1;
  end loop;
  return n;
end
$func$;
comment on function slack.stop_hearing(text[]) is
  'Notes up to 100 channels that were thought to be heard, but are not of these kinds: Slack sends no messages of them. Since when is not known, so nothing that was heard counts as complete. Returns the number of channels.';

create or replace function slack.absent_from(channel text, since timestamptz)
returns void
language plpgsql
as $func$
declare
  before slack.channel;
begin
  select c.* into before from slack.channel c where c.id = channel for update;
  if before.heard_since is not null then
    perform slack.leave_channel(before, to_jsonb(extract(epoch from since)));
    update slack.channel c set
      is_member = false
    , attributes = slack.merge_attributes(c.attributes, slack.versioned('{"is_member": false}', extract(epoch from now()), 0))
    where c.id = channel;
  end if;
end
$func$;
comment on function slack.absent_from(text, timestamptz) is
  'Notes that Slack does not show a channel that the app was thought to be a member of: what it heard since the given time is not known to be complete.';

create or replace function slack.add_import_history(import_id int8)
returns void
language plpgsql
as $func$
declare
  c record;
begin
  for c in
    with file as
    ( select
        f.channel_id
      , f.is_complete
      , regexp_replace(f.path, '^.*/', '') as name
      , coalesce(n.first_ts, f.first_ts) as first_ts
      , coalesce(n.last_ts, f.last_ts) as last_ts
      from slack.import_file f
      left join slack.import_content n
      on n.channel_id = f.channel_id
      and n.file_name = regexp_replace(f.path, '^.*/', '')
      and n.size = f.size
      and n.crc = f.crc
      where f.import_id = add_import_history.import_id
    )
    -- Names of files are days, so they are in the order of time. A file that is not complete separates two runs.
    , run as
    ( select f.*, count(*) filter (where not f.is_complete) over (partition by f.channel_id order by f.name collate "C", f.is_complete) as number
      from file f
    )
    , period as
    ( select r.channel_id, tstzrange(min(r.first_ts), max(r.last_ts), '[]') as period
      from run r
      where r.is_complete
      group by r.channel_id, r.number
      having min(r.first_ts) is not null
    )
    select p.channel_id, range_agg(p.period) as periods
    from period p
    group by p.channel_id
    order by p.channel_id collate "C"
  loop
    perform slack.add_history(c.channel_id, c.periods);
  end loop;
end
$func$;
comment on function slack.add_import_history(int8) is
  'Notes for which time an import that is done makes each channel complete: from the first to the last message of consecutive files that were merged whole. Nothing is known of the time before and after, because an export can be of a part of the history.';
