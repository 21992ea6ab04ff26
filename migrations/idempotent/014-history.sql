drop function if exists slack.heard_history(text, timestamptz, timestamptz);

create or replace function slack.complete_history(channel text)
returns tstzmultirange
language sql stable
as $func$
  select coalesce(h.heard, '{}')
  + case when c.heard_since is null then '{}' else tstzmultirange(tstzrange(c.heard_since, null)) end
  - coalesce
    ( ( select range_agg(tstzrange(g.started_at, g.ended_at))
        from slack.gap g
        where g.closed_at is null
        and slack.is_loss(g)
        and (g.channel_id is null or g.channel_id = channel)
      )
    , '{}'
    )
  + coalesce(h.complete, '{}')
  from slack.channel c
  left join slack.channel_history h on h.channel_id = c.id
  where c.id = channel
$func$;
comment on function slack.complete_history(text) is
  'The periods for which the channel is complete: those that a backfill has read or an import has merged, and those that the app heard, without the open gaps. A gap that is closed left nothing: slack.lose_heard() has removed what it could not read.';

create or replace function slack.refresh_complete(channel text)
returns void
language plpgsql
as $func$
declare
  newest tstzrange;
begin
  perform from slack.channel c where c.id = channel for update;

  -- This statement begins after the lock is held. So it sees the gaps and periods of whoever held it before.
  select r.period
  into newest
  from unnest(slack.complete_history(channel)) r (period)
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

create or replace function slack.add_heard(channel text, period tstzrange)
returns void
language sql
as $func$
  insert into slack.channel_history as h (channel_id, complete, heard)
  select channel, '{}', tstzmultirange(period)
  where not isempty(period)
  on conflict (channel_id) do update set heard = h.heard + excluded.heard
$func$;
comment on function slack.add_heard(text, tstzrange) is
  'Notes that the app heard the channel in this period, which has ended. The caller holds the lock of the channel''s row.';

create or replace function slack.lose_heard(channel text, lost tstzrange)
returns void
language plpgsql
as $func$
declare
  heard timestamptz;
begin
  select c.heard_since into heard from slack.channel c where c.id = channel for update;
  if heard < upper(lost) then
    perform slack.add_heard(channel, tstzrange(heard, upper(lost)));
    update slack.channel c set heard_since = upper(lost) where c.id = channel;
  end if;
  update slack.channel_history h set heard = h.heard - tstzmultirange(lost)
  where h.channel_id = channel
  and h.heard && lost;
  perform slack.refresh_complete(channel);
end
$func$;
comment on function slack.lose_heard(text, tstzrange) is
  'Notes that messages of the channel of this period are missing for good, though the app was a member: a gap is closed whose backfill could not read the channel, or an event could not be stored. Locks the channel''s row.';

create or replace function slack.regain_heard(channel text, ts timestamptz)
returns void
language plpgsql
as $func$
declare
  tick constant interval := '1 microsecond';
  known tstzmultirange;
begin
  perform from slack.channel c where c.id = channel for update;
  known := slack.complete_history(channel);
  if known @> ts - tick and known @> ts + tick and not known @> ts then
    perform slack.add_heard(channel, tstzrange(ts, ts + tick));
    perform slack.refresh_complete(channel);
  end if;
end
$func$;
comment on function slack.regain_heard(text, timestamptz) is
  'Notes that a message is stored whose event had failed: if only this message was missing, the channel is complete again. Locks the channel''s row.';

create or replace function slack.owe_history(channel text, until timestamptz)
returns void
language plpgsql
as $func$
declare
  since timestamptz;
  missing tstzrange;
begin
  -- The operator's unfinished history goes on as what is owed, from the page where it is.
  update slack.gap g set
    reason = 'joined'
  , tried_at = null
  , error = null
  where g.channel_id = channel
  and g.reason = 'by hand'
  and g.started_at <= 'epoch'
  and g.closed_at is null;

  -- What is before has been read, or is owed already. A gap that was closed without reading does not count.
  select coalesce(max(g.ended_at), 'epoch')
  into since
  from slack.gap g
  where g.channel_id = channel
  and g.reason = 'joined'
  and (g.closed_at is null or g.account ->> 'channels' <> '0');
  if since >= until then
    return;
  end if;

  -- The app may have left the channel before its history was read.
  update slack.gap g set
    tried_at = null
  , error = null
  where g.channel_id = channel
  and g.reason = 'joined'
  and g.closed_at is null
  and g.tried_at is not null;

  for missing in
    select m.period
    from unnest(tstzmultirange(tstzrange(since, until)) - slack.complete_history(channel)) m (period)
    order by m.period
  loop
    -- If a backfill begins with the gap just now, this waits for it, and finds no row: begun_at is set.
    update slack.gap g set
      ended_at = upper(missing)
    , grown_at = now()
    where g.channel_id = channel
    and g.reason = 'joined'
    and g.ended_at = lower(missing)
    and g.begun_at is null
    and g.closed_at is null;

    if not found then
      insert into slack.gap (reason, started_at, ended_at, channel_id)
      values ('joined', lower(missing), upper(missing), channel);
    end if;
  end loop;
end
$func$;
comment on function slack.owe_history(text, timestamptz) is
  'Adds gaps "joined" for the history of a channel until then: for each period that is not complete, and not owed yet. The caller holds the lock of the channel''s row, so that several instances add each gap once.';

drop function if exists slack.hear_channel(text, timestamptz);
create or replace function slack.hear_channel(channel text, joined timestamptz)
returns void
language plpgsql
as $func$
declare
  heard timestamptz;
  since timestamptz := joined;
begin
  select c.heard_since into heard from slack.channel c where c.id = channel;
  if heard is null then
    -- Slack repeats events, so that the first instance may hear of a join before its start. The time until then is no
    -- gap.
    select greatest(joined, coalesce(min(n.connected_at), now())) into since from slack.connection n;
  end if;
  if heard is null or heard < since then
    update slack.channel c set heard_since = since where c.id = channel;
  end if;
  perform slack.owe_history(channel, since);
  perform slack.refresh_complete(channel);
end
$func$;
comment on function slack.hear_channel(text, timestamptz) is
  'Notes that the app joined a channel: it hears the channel since then, at the earliest since an instance was connected, and the history before is owed. Any order and repetition of joins ends the same: the last one counts, and the gap covers all before it. The caller holds the lock of the channel''s row.';

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
  if channel.heard_since < until then
    perform slack.add_heard(channel.id, tstzrange(channel.heard_since, until));
  end if;
  perform slack.refresh_complete(channel.id);
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
drop function if exists slack.hear_members(text[]);
drop function if exists slack.stop_hearing(text[]);
create or replace function slack.update_heard(kinds text[])
returns int8
language plpgsql
as $func$
declare
  channel text;
  is_to_hear bool;
  n int8 := 0;
begin
  for channel, is_to_hear in
    select w.id, w.is_new
    from
    ( select c.id, true as is_new
      from slack.channel c
      where c.is_member
      and c.heard_since is null
      and slack.is_history_kind(c.channel_type, kinds)
      union all
      select c.id, false
      from slack.channel c
      where c.heard_since is not null
      and not slack.is_history_kind(c.channel_type, kinds)
    ) w
    order by w.id collate "C"
    limit 100
  loop
    -- A row that somebody has locked is left to the next call.
    perform from slack.channel l
    where l.id = channel
    and (l.heard_since is null) = is_to_hear
    and (l.is_member or not is_to_hear)
    for update skip locked;
    continue when not found;
    if is_to_hear then
      perform slack.hear_channel(channel, now());
    else
      update slack.channel l set heard_since = null where l.id = channel;
      perform slack.refresh_complete(channel);
    end if;
    n := n + 1;
  end loop;
  return n;
end
$func$;
comment on function slack.update_heard(text[]) is
  'Notes up to 100 channels of which a list of Slack says that the app is a member, and that were not heard before: they are heard from now on, and their history is owed. Also notes those that were thought to be heard, but are not of these kinds: since when Slack sends no messages of them is not known, so nothing that was heard counts as complete. kinds has the types of channels whose history the app may read; null: all. Slack sends messages only of these. A connected instance calls it. Returns the number of channels. Leaves out rows that are locked.';

create or replace function slack.refresh_heard(after text, most int4, out last text, out has_locked bool)
language plpgsql
as $func$
declare
  channel text;
begin
  has_locked := false;
  for channel in
    select c.id
    from slack.channel c
    where c.id collate "C" > after
    and (c.heard_since is not null or exists (select from slack.channel_history h where h.channel_id = c.id and h.heard <> '{}'))
    order by c.id collate "C"
    limit most
  loop
    last := channel;
    perform from slack.channel c where c.id = channel for update skip locked;
    if found then
      perform slack.refresh_complete(channel);
    else
      has_locked := true;
    end if;
  end loop;
end
$func$;
comment on function slack.refresh_heard(text, int4) is
  'Brings up to "most" channels after this id that are or were heard up to date with the gaps. Returns the last of them, and whether it has left out any because their rows are locked.';

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
  end if;
  update slack.channel c set
    is_member = false
  , attributes = slack.merge_attributes(c.attributes, slack.versioned('{"is_member": false}', extract(epoch from now()), 0))
  where c.id = channel
  and c.is_member;
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
