create or replace function slack.message_content(event jsonb)
returns jsonb
immutable parallel safe
return case event ->> 'subtype'
  when 'message_changed' then
    (event -> 'message') || jsonb_build_object
    ( 'channel', event -> 'channel'
    , 'channel_type', event -> 'channel_type'
    , 'event_ts', event -> 'event_ts'
    )
  else event
end;
comment on function slack.message_content(jsonb) is
  'The message that an event carries: the event itself, or the nested message of a message_changed, plus channel, channel_type and event_ts of the event.';

drop function if exists slack.reactions(text, timestamptz); -- an earlier version, which returned one value and was slower

create or replace function slack.reactions_of(channel_id text, ts timestamptz)
returns table (reactions jsonb)
language sql stable parallel safe
-- It has no settings and is not strict, so that PostgreSQL can inline it into the calling query.
as $func$
  select jsonb_agg(jsonb_build_object('user_id', r.user_id, 'reaction', r.reaction) order by r.event_ts, r.user_id collate "C", r.reaction collate "C")
  from slack.reaction r
  where r.channel_id = reactions_of.channel_id
  and r.ts = reactions_of.ts
  and r.is_present
$func$;
comment on function slack.reactions_of(text, timestamptz) is 'The reactions of a message that are present now, oldest first, in one row; null where there are none.';

create or replace function slack.message_bucket(channel_id text, ts timestamptz)
returns int4
immutable parallel safe
return hashtextextended(channel_id, extract(epoch from ts)::int8)::bit(5)::int4;
comment on function slack.message_bucket(text, timestamptz) is 'Lock bucket (0 to 31) of a message.';

create or replace function slack.lock_messages(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  -- A transaction that writes about a message locks the message's bucket until it ends. Otherwise two instances that
  -- write a message and its deletion or reaction at the same time would not see each other's rows. Buckets limit the
  -- number of locks. All transactions take them in one order, so that no deadlock can occur.
  perform pg_advisory_xact_lock(1936482657, b.bucket)
  from
  ( select distinct slack.message_bucket(i.channel_id, i.message_ts) as bucket
    from unnest(items) i
    where i.effects && '{message,deletion,reaction}'
    and i.channel_id is not null
    and i.message_ts is not null
    order by bucket
  ) b;
end
$func$;
comment on function slack.lock_messages(slack.routed_event[]) is 'Serialises transactions that write about the same messages.';

create or replace function slack.times_by_week(times timestamptz[])
returns table (times timestamptz[], first_ts timestamptz, last_ts timestamptz)
language sql stable
as $func$
  select array_agg(t), min(t), max(t)
  from unnest(times_by_week.times) t
  where isfinite(t)
  group by case
    when exists (select from pg_catalog.pg_inherits i where i.inhparent = 'slack.message'::regclass)
    then date_bin('7 days', t, 'epoch')
  end
  order by 2
$func$;
comment on function slack.times_by_week(timestamptz[]) is
  'The times in groups, each of one chunk of slack.message; in one group where it has no chunks. For statements that read or lock no other chunks.';

create or replace function slack.delete_rows(channel text, times timestamptz[])
returns void
language plpgsql
-- A custom plan knows the times: it reads and locks no other chunks.
set plan_cache_mode = force_custom_plan
as $func$
declare
  week record;
  part record;
  n int8;
begin
  -- PostgreSQL plans and locks every chunk of a hypertable for a DELETE, whatever its condition. So each chunk that has
  -- one of the rows is asked by its own name.
  for week in select * from slack.times_by_week(times) loop
    for part in
      select m.tableoid::regclass as name, count(*) as rows
      from slack.message m
      where m.channel_id = channel
      and m.ts between week.first_ts and week.last_ts
      and m.ts = any (week.times)
      group by m.tableoid
    loop
      execute format('delete from %s m where m.channel_id = $1 and m.ts = any ($2)', part.name) using channel, week.times;
      get diagnostics n = row_count;
      continue when n = part.rows;
      -- The others are in the columnstore, where a DELETE that names the chunk does not see them. An INSERT that
      -- conflicts brings them back.
      insert into slack.message as m (ts, channel_id)
      select o.ts, o.channel_id
      from slack.message o
      where o.channel_id = channel
      and o.ts between week.first_ts and week.last_ts
      and o.ts = any (week.times)
      on conflict (channel_id, ts) do update set event_id = m.event_id;
      execute format('delete from %s m where m.channel_id = $1 and m.ts = any ($2)', part.name) using channel, week.times;
    end loop;
  end loop;
end
$func$;
comment on function slack.delete_rows(text, timestamptz[]) is
  'Deletes rows of slack.message, given by channel and ts, and leaves no tombstone. The caller holds the locks of these messages.';

create or replace function slack.delete_messages(items slack.routed_event[])
returns void
language plpgsql
as $func$
declare
  i slack.routed_event;
begin
  foreach i in array items loop
    insert into slack.tombstone as t (channel_id, ts, deleted_at)
    values (i.channel_id, i.message_ts, i.event_ts)
    on conflict (channel_id, ts) do update set deleted_at = excluded.deleted_at
    where excluded.deleted_at < t.deleted_at;

    perform slack.delete_rows(i.channel_id, array[i.message_ts]);

    delete from slack.message_search s
    where s.channel_id = i.channel_id
    and s.ts = i.message_ts;
  end loop;
end
$func$;
comment on function slack.delete_messages(slack.routed_event[]) is 'Deletes messages and their documents for good: a tombstone blocks later originals and edits.';

create or replace function slack.store_reactions(items slack.routed_event[])
returns void
language plpgsql
as $func$
begin
  insert into slack.reaction as r (channel_id, ts, user_id, reaction, is_present, event_ts, event_id)
  select distinct on (i.channel_id, i.message_ts, i.user_id, i.event ->> 'reaction')
    i.channel_id
  , i.message_ts
  , i.user_id
  , i.event ->> 'reaction'
  , i.type = 'reaction_added'
  , i.event_ts
  , i.event_id
  from unnest(items) i
  order by i.channel_id, i.message_ts, i.user_id, i.event ->> 'reaction', i.event_ts desc, i.event_id desc
  on conflict (channel_id, ts, user_id, reaction) do update set
    is_present = excluded.is_present
  , event_ts = excluded.event_ts
  , event_id = excluded.event_id
  where (excluded.event_ts, excluded.event_id) > (r.event_ts, r.event_id);
end
$func$;
comment on function slack.store_reactions(slack.routed_event[]) is 'Keeps the newest add or removal of each reaction.';

create or replace function slack.show_reactions(items slack.routed_event[])
returns void
language plpgsql
-- A custom plan knows the time: it reads and locks no other chunks.
set plan_cache_mode = force_custom_plan
as $func$
declare
  k record;
begin
  for k in
    select i.channel_id, i.message_ts, r.reactions
    from (select distinct i.channel_id, i.message_ts from unnest(items) i) i
    cross join lateral slack.reactions_of(i.channel_id, i.message_ts) r
  loop
    -- An UPDATE would plan and lock every chunk of a hypertable. The row is there, so this INSERT only updates it.
    insert into slack.message as m (ts, channel_id, reactions)
    select o.ts, o.channel_id, k.reactions
    from slack.message o
    where o.channel_id = k.channel_id
    and o.ts = k.message_ts
    and o.reactions is distinct from k.reactions
    on conflict (channel_id, ts) do update set reactions = excluded.reactions;
  end loop;
end
$func$;
comment on function slack.show_reactions(slack.routed_event[]) is 'Brings slack.message.reactions up to slack.reaction for the messages that the events are about.';

create or replace function slack.store_messages(items slack.routed_event[])
returns void
language plpgsql
-- Otherwise each call would be planned again, which takes longer than storing a message.
set plan_cache_mode = force_generic_plan
as $func$
declare
  config constant regconfig := slack.document_config();
begin
  with stored as
  ( insert into slack.message as m
    ( ts, channel_id, team, text, type, user_id, blocks, event_ts, thread_ts, channel_type, client_msg_id, parent_user_id
    , updated_at, bot_id, attachments, files, app_id, subtype, trigger_id, workflow_id, display_as_bot, upload, x_files
    , icons, language, edited, reactions, event_id
    )
    select distinct on (i.channel_id, i.message_ts)
      i.message_ts
    , i.channel_id
    , slack.id_of(c.content, 'team')
    , slack.text_of(c.content, 'text')
    , coalesce(slack.text_of(c.content, 'type'), 'message')
    , slack.id_of(c.content, 'user')
    , slack.of_type(c.content -> 'blocks', 'array')
    , i.event_ts
    , slack.time_of(c.content, 'thread_ts')
    , slack.text_of(c.content, 'channel_type')
    , slack.to_uuid(slack.text_of(c.content, 'client_msg_id'))
    , slack.id_of(c.content, 'parent_user_id')
    , case when i.subtype = 'message_changed' then i.event_ts end
    , slack.id_of(c.content, 'bot_id')
    , slack.of_type(c.content -> 'attachments', 'array')
    , slack.of_type(c.content -> 'files', 'array')
    , slack.id_of(c.content, 'app_id')
    , slack.text_of(c.content, 'subtype')
    , slack.id_of(c.content, 'trigger_id')
    , slack.id_of(c.content, 'workflow_id')
    , slack.to_bool(c.content -> 'display_as_bot')
    , slack.to_bool(c.content -> 'upload')
    , slack.of_type(c.content -> 'x_files', 'array')
    , slack.of_type(c.content -> 'icons', 'object')
    , slack.of_type(c.content -> 'language', 'object')
    , slack.of_type(c.content -> 'edited', 'object')
    , r.reactions
    , i.event_id
    from unnest(items) i
    cross join lateral (select slack.message_content(i.event) as content offset 0) c
    cross join lateral slack.reactions_of(i.channel_id, i.message_ts) r
    where not exists
    ( select from slack.tombstone t
      where t.channel_id = i.channel_id
      and t.ts = i.message_ts
    )
    order by i.channel_id, i.message_ts, i.event_ts desc, i.event_id desc
    on conflict (channel_id, ts) do update set
      team = excluded.team
    , text = excluded.text
    , type = excluded.type
    , user_id = excluded.user_id
    , blocks = excluded.blocks
    , event_ts = excluded.event_ts
    , thread_ts = excluded.thread_ts
    , channel_type = excluded.channel_type
    , client_msg_id = excluded.client_msg_id
    , parent_user_id = excluded.parent_user_id
    , updated_at = excluded.updated_at
    , bot_id = excluded.bot_id
    , attachments = excluded.attachments
    , files = excluded.files
    , app_id = excluded.app_id
    , subtype = excluded.subtype
    , trigger_id = excluded.trigger_id
    , workflow_id = excluded.workflow_id
    , display_as_bot = excluded.display_as_bot
    , upload = excluded.upload
    , x_files = excluded.x_files
    , icons = excluded.icons
    , language = excluded.language
    , edited = excluded.edited
    , event_id = excluded.event_id
    where (excluded.event_ts, coalesce(excluded.event_id, '')) > (coalesce(m.event_ts, '-infinity'), coalesce(m.event_id, ''))
    returning m.ts, m.channel_id, m.user_id, m.bot_id, m.subtype, m.thread_ts, m.edited, m.text, m.attachments, m.files
    -- A document has the words of blocks only in place of a text; without them, the rows are half as large.
    , case when m.text <> '' then null else m.blocks end as blocks
  )
  , weeks as
  ( insert into slack.channel_week (channel_id, week)
    select m.channel_id, date_bin('7 days', m.ts, 'epoch') as week
    from stored m
    where isfinite(m.ts)
    group by m.channel_id, week
    order by m.channel_id collate "C", week
    on conflict do nothing
  )
  insert into slack.message_search as s (ts, channel_id, thread_ts, document)
  select
    m.ts
  , m.channel_id
  , case when m.thread_ts <> m.ts then m.thread_ts end
  , slack.search_document
    (config, m.channel_id, m.user_id, m.bot_id, m.subtype, m.thread_ts, m.edited, m.text, m.blocks, m.attachments, m.files)
  from stored m
  on conflict (ts, channel_id) do update set document = excluded.document, thread_ts = excluded.thread_ts;
end
$func$;
comment on function slack.store_messages(slack.routed_event[]) is
  'Stores the newest content of each message and its document, except of deleted ones; a value of another type than its column''s as null, of an object in place of an id the id. The caller holds the locks of slack.lock_messages().';

create or replace function slack.insert_message(message jsonb)
returns text
language plpgsql
as $func$
declare
  items constant slack.routed_event[] := array
  [ row
    ( '' -- the smallest event_id: any event of the same event_ts wins over it
    , coalesce(slack.time_of(message, 'event_ts'), slack.time_of(message, 'ts'))
    , now()
    , 'message'
    , slack.text_of(message, 'subtype')
    , '{message}'
    , 'stored'
    , slack.id_of(message, 'team')
    , slack.id_of(message, 'channel')
    , slack.id_of(message, 'user')
    , slack.time_of(message, 'ts')
    , message
    , null
    )::slack.routed_event
  ];
begin
  if items[1].message_ts is null or items[1].channel_id is null then
    raise invalid_parameter_value using message = 'the message has no usable ts or channel';
  end if;
  perform slack.lock_messages(items);
  if slack.discards(items) <> '{}' then
    return 'discarded';
  end if;
  perform slack.store_messages(items);
  return 'stored';
end
$func$;
comment on function slack.insert_message(jsonb) is
  'Stores a message ({"channel", "ts", …}) by the rules of live events: the newest content wins, deleted ones stay deleted. A value of another type than its column''s is stored as null. Raises where ts or channel is none. Returns "stored", or "discarded" where a rule of slack.message_discard matches.';
