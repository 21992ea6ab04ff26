-- Full-text search. Documents and queries go through the same functions, so that both have the same words.

create or replace function slack.search_config(language text)
returns regconfig
language sql stable parallel safe
as $func$
  select coalesce -- each by an index
  ( (select c.oid from pg_catalog.pg_ts_config c where c.cfgname = ('search_' || language)::name and c.cfgnamespace = 'slack'::regnamespace)
  , (select c.oid from pg_catalog.pg_ts_config c where c.cfgname = language::name and c.cfgnamespace = 'pg_catalog'::regnamespace)
  , ( select c.oid
      from pg_catalog.pg_namespace n
      join pg_catalog.pg_ts_config c on c.cfgnamespace = n.oid
      where n.nspname = split_part(language, '.', 1)::name
      and c.cfgname = split_part(language, '.', 2)::name
    )
  )::regconfig
$func$;
comment on function slack.search_config(text) is
  'The text search configuration of a language: ours, which keeps stop words, or that of this name. Null if there is none.';

create or replace function slack.document_version()
returns int4
immutable parallel safe
return 4;
comment on function slack.document_version() is
  'The version of what slack.message_search has for a message. Whoever changes that raises this number by hand: the migration then lets the job "search" make all documents again.';

create or replace function slack.document_config()
returns regconfig
language sql stable parallel safe
as $func$
  select coalesce
  ( (select slack.search_config(p.language) from slack.search_progress p)
  , slack.search_config('english')
  , 'pg_catalog.simple'::regconfig
  )
$func$;
comment on function slack.document_config() is
  'The text search configuration of new documents. If that of slack.search_progress was dropped, English: messages are stored in any case.';

create or replace function slack.fold_text(value text)
returns text
language plpgsql immutable parallel safe
as $func$
declare
  folded text := normalize(value, nfkd);
begin
  -- Accents of Latin and Greek letters. NFKC composes the others again: in Hangul and Kana they are parts of a syllable.
  folded := normalize(regexp_replace(folded, '([A-Za-z\u0370-\u03ff])[\u0300-\u036f]+', '\1', 'g'), nfkc);
  if folded ~ '[æÆœŒßøØłŁđĐıёЁς]' then
    folded := replace(replace(replace(replace(replace(folded, 'æ', 'ae'), 'Æ', 'AE'), 'œ', 'oe'), 'Œ', 'OE'), 'ß', 'ss');
    folded := translate(folded, 'øØłŁđĐıёЁς', 'oOlLdDiеЕσ');
  end if;
  if lower('Ж') = 'Ж' and folded ~ '[\u0391-\u03a9\u0402-\u042f\u0490]' then -- the database has the locale C
    folded := translate
    ( folded
    , 'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЃЄЅІЇЈЉЊЋЌЎЏҐ'
    , 'αβγδεζηθικλμνξοπρστυφχψωабвгдежзийклмнопрстуфхцчшщъыьэюяђѓєѕіїјљњћќўџґ'
    );
  end if;
  -- In the locale C PostgreSQL takes every character that is not ASCII for a letter.
  return regexp_replace
  ( folded
  , '[\u0080-\u00bf\u00d7\u00f7\u02b0-\u036f\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3006-\u303f\u30fb\ue000-\uf8ff\ufe00-\ufe6f\ufff0-\uffff\U0001f000-\U0001ffff]+'
  , ' '
  , 'g'
  );
end
$func$;
comment on function slack.fold_text(text) is 'The text without accents, with compatibility forms replaced, and with spaces for punctuation and symbols.';

create or replace function slack.split_text(value text, is_query bool default false)
returns text
language plpgsql immutable parallel safe
as $func$
declare
  cjk constant text := '[\u3005\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]';
  words text := left(value, 40000); -- Slack's limit; a document has at most 1 MB
  more text := '';
  emoji text;
  names text[];
  other_names text := '';
begin
  if strpos(words, '<') > 0 then -- <@U1|old name>, <#C1|old name>: the id is searched by the present name
    words := regexp_replace(words, '(<[@#][A-Z0-9]+)\|[^<>]*', '\1', 'g');
  end if;
  if strpos(words, '://') > 0 then -- URLs: host and path
    words := regexp_replace(words, '[a-zA-Z]+://(www\.)?([^\s<>|?#]*)([?#][^\s<>|]*)?', ' \2 ', 'g');
  end if;
  if strpos(words, '&') > 0 then
    words := regexp_replace(words, '&(lt|gt|amp);', ' ', 'g');
  end if;
  if octet_length(words) > length(words) then -- emoji characters are searched by name
    for emoji in select slack.emoji_in(words) loop
      names := slack.emoji_names(emoji);
      if names is not null and strpos(words, emoji) > 0 then
        words := replace(words, emoji, ' :' || names[1] || ': ');
        other_names := other_names || ' ' || array_to_string(names[2:], ' ');
      end if;
    end loop;
  end if;
  if strpos(words, '1:') > 0 then -- names of emoji that are no words
    words := replace(replace(words, ':+1:', ' thumbsup '), ':-1:', ' thumbsdown ');
  end if;
  if octet_length(words) > length(words) then
    words := slack.fold_text(words);
    if words ~ cjk then
      -- Languages without spaces: each pair of neighbours is a word. Two characters or more are found as a phrase.
      select string_agg(c.shown, '' order by c.n), string_agg(c.last, ' ')
      into words, more
      from
      ( select
          n
        , case
            when not p.is_cjk then p.c
            when p.next then p.c || p.next_c || ' '
            when p.before then ' '
            else ' ' || p.c || ' '
          end as shown
        , case when p.is_cjk and p.before and not p.next then p.c end as last
        from
        ( select
            n
          , c
          , c ~ cjk as is_cjk
          , lead(c) over w as next_c
          , coalesce(lead(c) over w ~ cjk, false) as next
          , coalesce(lag(c) over w ~ cjk, false) as before
          from regexp_split_to_table(regexp_replace(words, '(' || cjk || '+)', ' \1', 'g'), '') with ordinality t (c, n)
          window w as (order by n)
        ) p
      ) c;
    end if;
  end if;
  if words ~ '[a-z][A-Z]|[A-Z]{2}[a-z]' then -- fooBar, HTTPServer: their parts, and the whole
    if not is_query then
      select coalesce(more, '') || ' ' || string_agg(lower(m[1]), ' ')
      into more
      from regexp_matches(words, '([A-Za-z0-9]*(?:[a-z][A-Z]|[A-Z]{2}[a-z])[A-Za-z0-9]*)', 'g') m;
    end if;
    words := regexp_replace(regexp_replace(words, '([a-z])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g');
  end if;
  -- PostgreSQL's parser would take foo-bar, a.b.c, a/b, -1 and the like for words of several kinds.
  words := regexp_replace(words, '[-._/@+~<>&|\\:]+', ' ', 'g');
  return case when is_query then words else words || ' ' || coalesce(more, '') || other_names end;
end
$func$;
comment on function slack.split_text(text, bool) is
  'The words that the text is searched by, separated by spaces: of identifiers the parts, of URLs the host and the path, of Chinese, Japanese and Korean the pairs of neighbours. Of an emoji character the name. Without is_query, what may be searched alone comes at the end, too: whole identifiers, last characters, other names of emoji.';

create or replace function slack.json_texts(value jsonb, keys jsonpath[])
returns text
immutable parallel safe
returns null on null input
return
( select string_agg(t.text #>> '{}', ' ')
  from unnest(keys) k (key)
  cross join lateral jsonb_path_query(value, k.key, silent => true) t (text)
);
comment on function slack.json_texts(jsonb, jsonpath[]) is 'All strings that the paths lead to.';

create or replace function slack.search_document
( config regconfig
, channel_id text
, user_id text
, bot_id text
, subtype text
, thread_ts timestamptz
, edited jsonb
, text text
, blocks jsonb
, attachments jsonb
, files jsonb
)
returns tsvector
immutable parallel safe
-- One expression of immutable functions without a subquery, so that PostgreSQL inlines it, which halves its time.
return to_tsvector
( config
, case
    when attachments is null and files is null and text <> '' then
      case
        when text ~ '[<&\x80-\U0003ffff]|[-._/@+][A-Za-z0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]' or octet_length(text) > 40000
        then slack.split_text(text)
        else text
      end
    else
      slack.split_text
      ( coalesce
        ( nullif(text, '')
        , slack.json_texts
          ( blocks
          , array
            [ 'strict $.**.text ? (@.type() == "string")'
            , 'strict $.**.user_id ? (@.type() == "string")'
            , 'strict $.**.channel_id ? (@.type() == "string")'
            , 'strict $.**.url ? (@.type() == "string")'
            , 'strict $.**.name ? (@.type() == "string")'
            ]::jsonpath[]
          )
        , ''
        )
        || coalesce
        ( ' ' || slack.json_texts
          ( attachments
          , array
            [ 'strict $.**.pretext ? (@.type() == "string")'
            , 'strict $.**.title ? (@.type() == "string")'
            , 'strict $.**.text ? (@.type() == "string")'
            , 'strict $.**.fallback ? (@.type() == "string")'
            , 'strict $.**.value ? (@.type() == "string")'
            , 'strict $.**.author_name ? (@.type() == "string")'
            ]::jsonpath[]
          )
        , ''
        )
        || coalesce
        ( ' ' || slack.json_texts
          ( files
          , array
            [ 'strict $.**.name ? (@.type() == "string")'
            , 'strict $.**.title ? (@.type() == "string")'
            ]::jsonpath[]
          )
        , ''
        )
      )
  end
)
|| array_to_tsvector
( array_remove
  ( array
    [ 'in:' || channel_id
    , 'from:' || user_id
    , 'from:' || bot_id
    , case when bot_id <> '' or subtype = 'bot_message' then 'is:bot' end
    , 'subtype:' || subtype
    , case when thread_ts is not null then 'has:thread' end
    , case when edited is not null then 'is:edited' end
    , case when strpos(text, '<http') > 0 or jsonb_path_exists(attachments, '$[*].title_link') then 'has:link' end
    , case when jsonb_array_length(slack.of_type(files, 'array')) > 0 then 'has:file' end
    ]
  , null
  )
);
comment on function slack.search_document(regconfig, text, text, text, text, timestamptz, jsonb, text, jsonb, jsonb, jsonb) is
  'The document of a message: its text, or the text of its blocks where it has none; titles, texts and fallbacks of attachments; names and titles of files; and what filters look for.';

drop function if exists slack.json_texts(jsonb, text[]); -- an earlier version, which read its paths for each message

create or replace function slack.index_messages(channel_id text, times timestamptz[])
returns int8
language plpgsql
as $func$
declare
  config constant regconfig := slack.document_config();
  n int8;
begin
  insert into slack.message_search as s (ts, channel_id, thread_ts, document)
  select
    m.ts
  , m.channel_id
  , case when m.thread_ts <> m.ts then m.thread_ts end
  , slack.search_document
    (config, m.channel_id, m.user_id, m.bot_id, m.subtype, m.thread_ts, m.edited, m.text, m.blocks, m.attachments, m.files)
  from slack.get_messages(index_messages.channel_id, times) m
  on conflict on constraint message_search_pkey do update set document = excluded.document, thread_ts = excluded.thread_ts;
  get diagnostics n = row_count;
  insert into slack.channel_week (channel_id, week)
  select distinct index_messages.channel_id, date_bin('7 days', t, 'epoch') as week
  from unnest(times) t
  where isfinite(t)
  order by week
  on conflict do nothing;
  return n;
end
$func$;
comment on function slack.index_messages(text, timestamptz[]) is
  'Makes the documents of stored messages of a channel, given by ts, and notes their weeks. Returns the number of documents. The caller holds the locks of these messages.';

create or replace function slack.index_history(n int4)
returns int8
language plpgsql
set plan_cache_mode = force_custom_plan
as $func$
declare
  progress slack.search_progress;
  lower timestamptz;
  upper timestamptz;
  channel_ids text[];
  times timestamptz[];
begin
  -- Lock the language first, then the buckets, as slack.renew_documents() does. So the language stays the same until the end.
  perform pg_advisory_xact_lock(1685021555);
  select * into strict progress from slack.search_progress p;
  if progress.finished_at is not null then
    return 0;
  end if;
  -- Only so much of the history at a time, so that few chunks are read and locked.
  upper := progress.ts;
  loop
    lower := case
      when upper > now() + interval '1 day' then now() + interval '1 day'
      when upper > '2000-01-01' then upper - interval '84 days'
      else '-infinity'
    end;
    select array_agg(k.channel_id order by k.ts desc, k.channel_id desc), array_agg(k.ts order by k.ts desc, k.channel_id desc)
    into channel_ids, times
    from
    ( select m.channel_id, m.ts
      from slack.message m
      where m.ts <= upper
      and m.ts >= lower
      and (m.ts < progress.ts or m.channel_id < progress.channel_id)
      order by m.ts desc, m.channel_id desc
      limit n
    ) k;
    exit when times is not null or lower = '-infinity';
    upper := lower;
  end loop;
  if times is null then
    update slack.search_progress set finished_at = now(), previous_languages = '{}';
    return 0;
  end if;
  -- Exclusive, so that no import, which shares these locks, changes the messages meanwhile. Then the messages are read
  -- again: those that were deleted since get no document.
  perform pg_advisory_xact_lock(1936482657, b.bucket)
  from
  ( select distinct slack.message_bucket(k.channel_id, k.ts) as bucket
    from unnest(channel_ids, times) k (channel_id, ts)
    order by bucket
  ) b;
  perform slack.index_messages(c.channel_id, c.times)
  from
  ( select k.channel_id, array_agg(k.ts) as times
    from unnest(channel_ids, times) k (channel_id, ts)
    group by k.channel_id
    order by k.channel_id collate "C"
  ) c;
  update slack.search_progress set
    ts = times[cardinality(times)]
  , channel_id = channel_ids[cardinality(times)]
  , done = progress.done + cardinality(times);
  return cardinality(times);
end
$func$;
comment on function slack.index_history(int4) is
  'Makes the documents of the next n messages that have none yet, from the newest to the oldest. Returns how many; 0 when all have. Only the job "search" calls it, one session at a time.';

create or replace function slack.renew_documents(language text)
returns bool
language plpgsql
as $func$
declare
  progress slack.search_progress;
  is_empty bool;
begin
  perform pg_advisory_xact_lock(1685021555);
  select * into progress from slack.search_progress p;
  if not found or (progress.language, progress.version) = (renew_documents.language, slack.document_version()) then
    return false;
  end if;
  -- Whoever makes documents as before commits them first: the job reads them after that.
  perform pg_advisory_xact_lock(1936482657, b.bucket)
  from (select generate_series(0, 31) as bucket order by bucket) b;
  -- When the job has finished, each message has a document. slack.message itself would be locked with all of its chunks.
  is_empty := progress.finished_at is not null and not exists (select from slack.message_search);
  update slack.search_progress p set
    language = renew_documents.language
  , previous_languages = case
      when is_empty then '{}'
      else array
      ( select distinct l.name
        from unnest(p.previous_languages || p.language) l (name)
        where l.name <> renew_documents.language
        order by l.name
      )
    end
  , version = slack.document_version()
  , ts = 'infinity'
  , channel_id = ''
  , done = 0
  , total = null
  , finished_at = case when is_empty then now() end;
  return not is_empty;
end
$func$;
comment on function slack.renew_documents(text) is
  'Sets the language and the version of new documents. If one of the two changes, the job "search" makes the documents of all stored messages again. Returns whether it begins to: false if nothing changes, and if no message is stored.';

create or replace function slack.set_search_language(language text)
returns bool
language plpgsql
as $func$
begin
  if slack.search_config(language) is null then
    raise invalid_parameter_value using message = 'there is no text search configuration of this name';
  end if;
  return slack.renew_documents(language);
end
$func$;
comment on function slack.set_search_language(text) is
  'Sets the language of documents. The job "search" makes the documents again that have another language. Returns as slack.renew_documents(). Raises invalid_parameter_value for an unknown text search configuration.';

select slack.renew_documents(p.language) from slack.search_progress p;

create or replace function slack.name_document(variadic names text[])
returns tsvector
immutable parallel safe
return to_tsvector('pg_catalog.simple', slack.split_text(array_to_string(names, ' . ')));
comment on function slack.name_document(text[]) is 'The words of names, for the search by name.';

create index if not exists user_search_idx on slack."user" using gin (slack.name_document(user_name, real_name, display_name));
create index if not exists channel_search_idx on slack.channel using gin (slack.name_document(channel_name));
comment on index slack.user_search_idx is 'Users by the words of their names.';
comment on index slack.channel_search_idx is 'Channels by the words of their names.';

create or replace function slack.quote_lexeme(lexeme text)
returns text
immutable parallel safe
return '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''';
comment on function slack.quote_lexeme(text) is 'The lexeme as tsquery reads it.';

drop function if exists slack.search_term(text, bool, text[]);
create or replace function slack.search_term(term text, is_prefix bool, languages text[], visible text[] default null)
returns tsquery
language plpgsql stable
as $func$
declare
  value constant text := slack.split_text(left(term, 1000), true);
  whole constant text := case when term ~ '^[A-Za-z0-9]*([a-z][A-Z]|[A-Z]{2}[a-z])[A-Za-z0-9]*$' then lower(term) end;
  -- With these, organiza* also finds organization, whose stem is organ.
  endings constant text[] := '{"",e,s,es,ed,er,ing,ly,al,y,ity,ies,ive,able,ion,ions,tion,tions,ation,ations,zation,ization,isation,ment,ness}';
  is_open constant bool := is_prefix or value ~ '^ *[\u3005\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff] *$';
  emoji_names constant text[] := slack.emoji_names(btrim(term));
  words text[];
  quoted text[];
  last text;
  config regconfig;
  names tsquery;
  found text[];
begin
  select array_agg(w.lexeme order by p), array_agg(slack.quote_lexeme(w.lexeme) order by p)
  into words, quoted
  from unnest(to_tsvector('pg_catalog.simple', value)) w
  cross join lateral unnest(w.positions) p;
  if words is null then
    return null;
  end if;
  last := words[cardinality(words)];
  names := (array_to_string(quoted, ' <-> ') || case when is_open then ':*' else '' end)::tsquery;
  foreach config in array array(select slack.search_config(l) from unnest(languages) l) loop
    if is_open then
      found := found ||
      ( select coalesce(phraseto_tsquery(config, nullif(array_to_string(words[:cardinality(words) - 1], ' '), ''))::text || ' <-> ', '')
        || '(' || slack.quote_lexeme(last) || ':*' || coalesce(string_agg(distinct ' | ' || slack.quote_lexeme(s.lexeme), ''), '') || ')'
        from unnest(endings) e
        cross join lateral unnest(to_tsvector(config, last || e)) s
        where not starts_with(s.lexeme, last)
      );
    else
      found := found || phraseto_tsquery(config, value)::text;
    end if;
    found := found || array(select phraseto_tsquery(config, slack.split_text(n, true))::text from unnest(emoji_names[2:]) n);
    if whole is not null then
      found := found || (phraseto_tsquery(config, whole)::text || case when is_open then ':*' else '' end);
    end if;
    -- Mentions hold ids, so a name finds them also after it was changed.
    found := found || array
    ( ( select phraseto_tsquery(config, u.id)::text
        from slack."user" u
        where slack.name_document(u.user_name, u.real_name, u.display_name) @@ names
        order by u.deleted, u.id
        limit 100
      )
      union all
      ( select phraseto_tsquery(config, c.id)::text
        from slack.channel c
        where slack.name_document(c.channel_name) @@ names
        and slack.is_visible(c.id, visible)
        order by c.is_deleted, c.is_archived, c.id
        limit 100
      )
    );
  end loop;
  return nullif(array_to_string(array_remove(found, ''), ' | '), '')::tsquery;
end
$func$;
comment on function slack.search_term(text, bool, text[], text[]) is
  'The query for a word, an identifier or a phrase, in any of the languages; with is_prefix, for words that begin with its last word. Finds mentions of up to 100 users and 100 channels with such names, too. With visible, only of channels that slack.is_visible() shows. Null if the term has no words. Takes any text.';
