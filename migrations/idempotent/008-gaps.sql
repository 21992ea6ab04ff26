create or replace function slack.is_settled(gap slack.gap)
returns bool
language sql stable parallel safe
as $func$
  select gap.ended_at is not null
  and (gap.reason in ('not connected', 'queue stopped', 'by hand', 'joined') or gap.grown_at < now() - interval '1 hour')
$func$;
comment on function slack.is_settled(slack.gap) is
  'Whether the gap has ended and will not become longer. A gap that was found by its events can: Slack repeats some events every hour.';

create or replace function slack.is_loss(gap slack.gap)
returns bool
language sql immutable parallel safe
as $func$
  select gap.reason not in ('by hand', 'joined')
$func$;
comment on function slack.is_loss(slack.gap) is
  'Whether events may be missing because of the gap. Otherwise it is only a period whose history is to be read: an operator asked for it, or the app joined the channel.';

create or replace function slack.lock_gaps()
returns void
language sql
as $func$
  select pg_advisory_xact_lock(1734438958)
$func$;
comment on function slack.lock_gaps() is
  'Locks gaps and connections: one transaction at a time writes them. So a gap that several instances find becomes one row. A heartbeat takes this lock first, because it also changes connections of other instances.';

create or replace function slack.record_gap
( team text, reason text, started timestamptz, ended timestamptz, instance text, within interval
)
returns int8
language plpgsql
as $func$
declare
  found int8;
begin
  perform slack.lock_gaps();
  select g.id
  into found
  from slack.gap g
  where g.team_id is not distinct from team
  and g.reason = record_gap.reason
  and g.channel_id is null
  and g.begun_at is null
  and g.closed_at is null
  and g.started_at <= ended + within
  and g.ended_at >= started - within
  order by g.ended_at desc
  limit 1
  for update; -- A backfill that begins now waits for this lock, and then reads the longer gap. If the backfill was first, begun_at is set, and this query finds no row.

  if found is null then
    insert into slack.gap (team_id, reason, started_at, ended_at, instance)
    values (team, record_gap.reason, started, ended, record_gap.instance)
    returning id into found;
  else
    update slack.gap g set
      started_at = least(g.started_at, started)
    , ended_at = greatest(g.ended_at, ended)
    , grown_at = now()
    where g.id = found
    and (g.started_at > started or g.ended_at < ended);
  end if;
  return found;
end
$func$;
comment on function slack.record_gap(text, text, timestamptz, timestamptz, text, interval) is
  'Adds a gap. If a gap with the same reason is at most "within" away and no backfill of it has begun, makes that gap longer instead. Returns the gap''s id.';

create or replace function slack.note_gaps(items slack.routed_event[])
returns void
language plpgsql
as $func$
declare
  s record;
begin
  for s in
    select
      i.team_id
    , case when i.type = 'app_rate_limited' then 'rate limited' else 'late deliveries' end as reason
    , min(i.event_ts) as started
    , max(i.event_ts) as ended
    from unnest(items) i
    where i.type = 'app_rate_limited'
    -- Slack repeats an event for a day at most. If an event seems to be older, the clocks differ.
    or (i.received_at > i.event_ts + interval '2 hours' and i.received_at < i.event_ts + interval '3 days')
    -- Two separate periods in one batch become two gaps.
    group by 1, 2, date_bin(case when i.type = 'app_rate_limited' then interval '1 minute' else '1 hour' end, i.event_ts, 'epoch')
    order by started
  loop
    if s.reason = 'rate limited' then
      -- Slack names the minute in which the limit began.
      perform slack.record_gap(s.team_id, s.reason, s.started, s.ended + interval '1 minute', null, '5 minutes');
    elsif not exists
    ( select from slack.gap g
      where g.team_id is not distinct from s.team_id
      and g.channel_id is null
      and g.started_at <= s.started
      and (g.ended_at is null or g.ended_at >= s.ended)
    ) then
      perform slack.record_gap(s.team_id, s.reason, s.started, s.ended, null, '1 hour');
    end if;
  end loop;
end
$func$;
comment on function slack.note_gaps(slack.routed_event[]) is
  'Adds the gaps that follow from events: app_rate_limited, and deliveries that are more than 2 h late and in no known gap.';

create or replace function slack.judge_connections
( team text, instance text, stale interval, is_steady bool, least_gap interval
)
returns void
language plpgsql
as $func$
declare
  c slack.connection;
  before timestamptz;
  going_on slack.gap;
begin
  perform slack.lock_gaps();
  select g.* into going_on
  from slack.gap g
  where g.team_id is not distinct from team
  and g.reason = 'not connected'
  and g.ended_at is null;

  for c in
    select n.*
    from slack.connection n
    join slack.instance i on i.id = n.instance_id
    where i.team_id is not distinct from team
    and not n.is_judged
    order by n.connected_at, n.id
  loop
    select max(e.seen_at) into before
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and (e.connected_at, e.id) < (c.connected_at, c.id);

    if before < c.connected_at then
      -- An earlier connection may still work. Its instance updates it in a moment, or has crashed. So wait.
      continue when exists
      ( select
        from slack.connection e
        join slack.instance i on i.id = e.instance_id
        where i.team_id is not distinct from team
        and (e.connected_at, e.id) < (c.connected_at, c.id)
        and e.ended_at is null
        and i.stopped_at is null
        and (i.last_seen_at > now() - stale or not is_steady)
      );
    end if;

    if going_on.id is not null then
      update slack.gap g set ended_at = greatest(g.started_at, c.connected_at)
      where g.id = going_on.id;
      going_on := null;
    elsif before + least_gap <= c.connected_at then
      perform slack.record_gap(team, 'not connected', before, c.connected_at, judge_connections.instance, '1 minute');
    end if;
    update slack.connection set is_judged = true where id = c.id;
  end loop;

  -- An instance that could not reach the database was connected, so delete the gap.
  delete from slack.gap g
  where g.id = going_on.id
  and exists
  ( select
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and e.connected_at <= g.started_at
    and e.seen_at > g.started_at
  );

  if going_on.id is null and is_steady and not exists
  ( select
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    and (not e.is_judged or (e.ended_at is null and i.stopped_at is null and i.last_seen_at > now() - stale))
  ) then
    insert into slack.gap (team_id, reason, started_at, instance)
    select team, 'not connected', max(e.seen_at), judge_connections.instance
    from slack.connection e
    join slack.instance i on i.id = e.instance_id
    where i.team_id is not distinct from team
    having max(e.seen_at) <= now() - least_gap;
  end if;
end
$func$;
comment on function slack.judge_connections(text, text, interval, bool, interval) is
  'Adds the gaps in which no instance of the workspace was connected: before each new connection, and now. An instance counts as crashed if it has not updated its row for the interval "stale". That holds only if the caller itself has reached the database during that time (is_steady); otherwise the other instance may have been unable to reach it either. Breaks shorter than least_gap are not gaps.';
