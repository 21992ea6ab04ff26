create or replace function slack.routed_events(batch jsonb)
returns slack.routed_event[]
language sql stable parallel safe
as $func$
  select array
  ( select row
    ( r.event_id
    , slack.to_timestamptz(r.event_ts)
    , r.received_at
    , r.type
    , r.subtype
    , r.effects
    , r.outcome
    , r.team_id
    , r.channel_id
    , r.user_id
    , slack.to_timestamptz(r.message_ts)
    , r.event
    , r.error
    )::slack.routed_event
    from jsonb_to_recordset(batch) as r
    ( event_id text, event_ts text, received_at timestamptz, type text, subtype text, effects text[], outcome text
    , team_id text, channel_id text, user_id text, message_ts text, event jsonb, error jsonb
    )
  )
$func$;
comment on function slack.routed_events(jsonb) is 'Reads events from a JSON array of objects with the fields of slack.routed_event. Slack''s times are given as its texts.';

create or replace function slack.first_deliveries(items slack.routed_event[])
returns slack.routed_event[]
language plpgsql
as $func$
declare
  first_ids text[];
begin
  with received as
  ( select i.event_id, min(i.event_ts) as event_ts, min(i.received_at) as first_at, max(i.received_at) as last_at, count(*)::int4 as n
    from unnest(items) i
    group by i.event_id
  )
  , counted as
  ( insert into slack.delivery as d (event_id, event_ts, received_at, last_received_at, deliveries)
    select r.event_id, r.event_ts, r.first_at, r.last_at, r.n
    from received r
    order by r.event_id collate "C"
    on conflict (event_id) do update set
      deliveries = d.deliveries + excluded.deliveries
    , last_received_at = greatest(d.last_received_at, excluded.last_received_at)
    returning d.event_id, d.deliveries
  )
  select array_agg(c.event_id)
  into first_ids
  from counted c
  join received r on r.event_id = c.event_id
  where r.n = c.deliveries; -- this batch contains the first delivery

  if cardinality(first_ids) = cardinality(items) then -- the usual case
    return items;
  end if;
  return array
  ( select distinct on (i.event_id) i
    from unnest(items) i
    where i.event_id = any (first_ids)
    order by i.event_id, i.event_ts
  );
end
$func$;
comment on function slack.first_deliveries(slack.routed_event[]) is
  'Counts the deliveries in slack.delivery, and returns the events that are delivered for the first time, each once.';

create or replace function slack.apply_effects(items slack.routed_event[], discarded jsonb default '{}')
returns void
language plpgsql
as $func$
declare
  deletions constant slack.routed_event[] := array(select i from unnest(items) i where 'deletion' = any (i.effects));
  reactions constant slack.routed_event[] := array(select i from unnest(items) i where 'reaction' = any (i.effects));
  messages constant slack.routed_event[] := array(select i from unnest(items) i where 'message' = any (i.effects) and not discarded ? i.event_id);
  item slack.routed_event;
begin
  if cardinality(deletions) > 0 then
    perform slack.delete_messages(deletions);
  end if;
  if cardinality(reactions) > 0 then
    perform slack.store_reactions(reactions);
  end if;
  if cardinality(messages) > 0 then
    perform slack.store_messages(messages); -- a new message shows the reactions that came before it
  end if;
  if cardinality(reactions) > 0 then
    perform slack.show_reactions(reactions);
  end if;
  for item in select i.* from unnest(items) i where 'user' = any (i.effects) order by i.event -> 'user' ->> 'id' collate "C" loop
    perform slack.upsert_user(item.event);
  end loop;
  for item in select i.* from unnest(items) i where 'channel' = any (i.effects) order by slack.channel_of(i.event) collate "C" loop
    perform slack.upsert_channel(item.event);
  end loop;
end
$func$;
comment on function slack.apply_effects(slack.routed_event[], jsonb) is
  'Applies the effects of the events to the tables. Does not store the message of an event that is a key of discarded. It is idempotent and commutative: the result does not depend on order or repetition. The caller holds the locks of slack.lock_messages().';

create or replace function slack.discards(items slack.routed_event[])
returns jsonb
language plpgsql
as $func$
declare
  event_ids text[];
  messages jsonb[];
  found record;
begin
  if not exists (select from slack.message_discard) then
    return '{}';
  end if;
  select array_agg(i.event_id), array_agg(slack.message_content(i.event))
  into event_ids, messages
  from unnest(items) i
  where 'message' = any (i.effects);
  if messages is null then
    return '{}';
  end if;
  select e.discarded, e.failures into found from slack.evaluate_rules(messages) e;
  if found.failures is not null then
    perform slack.count_rule_failures(found.failures);
  end if;
  return
  ( select coalesce(jsonb_object_agg(d.event_id, d.rule), '{}')
    from unnest(event_ids, found.discarded) d (event_id, rule)
    where d.rule is not null
  );
end
$func$;
comment on function slack.discards(slack.routed_event[]) is
  'The events whose message a rule discards, as {event_id: rule}. Counts the failures of rules.';

create or replace function slack.ingest(batch jsonb)
returns jsonb
language plpgsql
as $func$
declare
  items slack.routed_event[];
  discarded jsonb;
begin
  -- Every transaction takes its locks in this order, and locks of one kind in the order of their keys. So no two
  -- transactions deadlock: not those of ingestion, imports, backfills, replays, jobs or heartbeats.
  --   1. one replay at a time                            slack.replay()
  --   2. twelve weeks of a channel                       slack.lock_for_import(): imports and backfills
  --   3. who decides which documents are made            slack.index_history(), slack.renew_documents(), migrations
  --   4. buckets of messages                             slack.lock_messages(): exclusive; slack.lock_for_import(): shared
  --   5. rows of slack.event                             only replays change them
  --   6. rows of slack.delivery, by event_id
  --   7. rows of slack.tombstone, reaction, message and message_search
  --                                                    only under their bucket's lock, so in any order
  --   8. rows of slack.channel_week, by channel and week
  --   9. rows of slack."user", by id
  --  10. rows of slack.channel, by id. Only whoever holds one writes the channel's row of slack.channel_history, and adds
  --      a gap whose reason is "joined"
  --  11. gaps                                            slack.lock_gaps()
  --  12. rows of slack.instance, connection and gap      a backfill starts with a row of slack.gap
  -- A migration takes 3 and all buckets of 4 before it changes a table, so it waits for nobody who waits for the table.
  -- No transaction waits for a row of slack.message_discard_failure: slack.count_rule_failures() skips locked rows. The
  -- retention job skips them as well. A transaction that needs locks of one kind in two steps takes all of them in the
  -- first. Keys are compared as bytes (collate "C"), as Python does.
  items := slack.routed_events(batch);
  perform slack.lock_messages(items);
  items := slack.first_deliveries(items);

  discarded := slack.discards(items);

  insert into slack.event
  ( event_ts, type, subtype, event, error, event_id, received_at, outcome, discard_id, team_id, channel_id, user_id, message_ts )
  select
    i.event_ts
  , i.type
  , i.subtype
  , i.event
  , slack.present(i.error)
  , i.event_id
  , i.received_at
  , case when discarded ? i.event_id then 'discarded' else i.outcome end
  , (discarded ->> i.event_id)::int4
  , i.team_id
  , i.channel_id
  , i.user_id
  , i.message_ts
  from unnest(items) i;

  perform slack.apply_effects(items, discarded);
  -- An event that PostgreSQL has refused comes alone.
  if cardinality(items) = 1 and items[1].outcome = 'failed' and items[1].type = 'message'
    and coalesce(items[1].subtype, '') not in ('message_changed', 'message_deleted', 'message_replied')
  then
    perform slack.lose_heard
    ( items[1].channel_id
    , tstzrange(at.ts, at.ts + interval '1 microsecond')
    )
    from coalesce(items[1].message_ts, items[1].event_ts) at (ts);
  end if;
  perform slack.note_gaps(items);

  return jsonb_build_object
  ( 'first', (select coalesce(jsonb_agg(i.event_id), '[]') from unnest(items) i)
  , 'discarded', discarded
  );
end
$func$;
comment on function slack.ingest(jsonb) is
  'Stores a batch of routed events (see slack.routed_events()): for each first delivery, the audit row and the effects. Returns {"first": [event_id], "discarded": {event_id: rule}}. The ingestion calls it once per transaction.';
