create or replace function slack.stored_message(m slack.message)
returns jsonb
immutable parallel safe
return jsonb_strip_nulls
( jsonb_build_object
  ( 'type', m.type
  , 'subtype', m.subtype
  , 'channel', m.channel_id
  , 'channel_type', m.channel_type
  , 'user', m.user_id
  , 'bot_id', m.bot_id
  , 'app_id', m.app_id
  , 'team', m.team
  , 'text', m.text
  , 'ts', slack.to_ts(m.ts)
  , 'event_ts', slack.to_ts(m.event_ts)
  , 'thread_ts', slack.to_ts(m.thread_ts)
  , 'parent_user_id', m.parent_user_id
  , 'client_msg_id', m.client_msg_id
  , 'blocks', m.blocks
  , 'attachments', m.attachments
  , 'files', m.files
  , 'x_files', m.x_files
  , 'icons', m.icons
  , 'language', m.language
  , 'edited', m.edited
  , 'trigger_id', m.trigger_id
  , 'workflow_id', m.workflow_id
  , 'display_as_bot', m.display_as_bot
  , 'upload', m.upload
  )
);
comment on function slack.stored_message(slack.message) is 'A stored message in Slack''s form, as rules see it. It has only the fields that slack.message has columns for.';

create or replace function slack.replay(batch jsonb)
returns jsonb
language plpgsql
-- A plan for the actual values excludes all other chunks, and decompresses only the one event.
set plan_cache_mode = force_custom_plan
as $func$
declare
  items constant slack.routed_event[] := slack.routed_events(batch);
  present slack.routed_event[] := '{}';
  discarded jsonb;
  outcomes jsonb := '{}';
  k record;
  i slack.routed_event;
  now_is text;
begin
  -- One replay at a time, so that the order of rows in slack.event does not matter. The rest is as in slack.ingest().
  perform pg_advisory_xact_lock(1919250527);
  perform slack.lock_messages(items);
  discarded := slack.discards(items);

  for k in
    select n as item, r.id, r.kept_channel_id
    from unnest(items) n
    join jsonb_to_recordset(batch) r (event_id text, id int8, kept_channel_id text) on r.event_id = n.event_id
  loop
    i := k.item;
    -- An UPDATE would plan and lock every chunk of a hypertable. The row is there, so this INSERT only updates it; the
    -- retention job deletes none during a replay.
    insert into slack.event as e (event_ts, id, event, event_id, received_at, outcome)
    overriding system value
    select o.event_ts, o.id, '{}', o.event_id, o.received_at, o.outcome
    from slack.event o
    where o.event_ts = i.event_ts
    and o.id = k.id
    and (o.channel_id = k.kept_channel_id or k.kept_channel_id is null and o.channel_id is null)
    on conflict (event_ts, id) do update set
      -- A replay never removes a stored message: a rule only discards messages that are not stored yet.
      outcome = case when e.outcome = 'stored' then 'stored' when discarded ? i.event_id then 'discarded' else i.outcome end
    , discard_id = case when e.outcome = 'stored' then null else (discarded ->> i.event_id)::int4 end
    , error = case when e.outcome = 'stored' then null else slack.present(i.error) end
      -- an event that fails again keeps what is known about it
    , type = case when i.outcome = 'failed' then e.type else i.type end
    , subtype = case when i.outcome = 'failed' then e.subtype else i.subtype end
    , event = case when i.outcome <> 'failed' and e.event ? 'unstorable' then i.event else e.event end
    , channel_id = case when i.outcome = 'failed' then e.channel_id else i.channel_id end
    , user_id = case when i.outcome = 'failed' then e.user_id else i.user_id end
    , message_ts = case when i.outcome = 'failed' then e.message_ts else i.message_ts end
    , replays = coalesce(e.replays, '[]') || jsonb_strip_nulls
      (jsonb_build_object('at', now(), 'outcome', e.outcome, 'discard_id', e.discard_id, 'error', e.error))
    returning e.outcome into now_is;
    if found then
      present := present || i;
      outcomes := outcomes || jsonb_build_object(i.event_id, now_is);
    end if;
  end loop;

  perform slack.apply_effects(present, discarded);
  return outcomes;
end
$func$;
comment on function slack.replay(jsonb) is
  'Replays events of the audit trail: applies their effects as slack.ingest() does, and updates their outcomes in slack.event. Takes routed events with the "id" and the channel_id (as "kept_channel_id") of their rows. Returns {event_id: outcome}, without events whose rows are gone.';
