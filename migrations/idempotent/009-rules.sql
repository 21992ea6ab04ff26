create or replace function slack.matches(messages jsonb[], match jsonpath, out is_match bool[], out errors text[])
language plpgsql stable
as $func$
declare
  message jsonb;
  position int4 := 0;
begin
  is_match := array
  ( select coalesce(jsonb_path_match(m.message, match, silent => true), false)
    from unnest(messages) with ordinality m (message, position)
    order by m.position
  );
exception
  -- "silent" suppresses errors about missing fields and wrong types, but not all errors: a comparison of times with and
  -- without a time zone, an error in a regular expression or in arithmetic, or a message that is nested too deeply.
  when data_exception or feature_not_supported or program_limit_exceeded then
    errors := array_fill(null::text, array[cardinality(messages)]);
    foreach message in array messages loop
      position := position + 1;
      begin
        is_match[position] := coalesce(jsonb_path_match(message, match, silent => true), false);
      exception
        when data_exception or feature_not_supported or program_limit_exceeded then
          is_match[position] := false;
          errors[position] := sqlstate;
      end;
    end loop;
end
$func$;
comment on function slack.matches(jsonb[], jsonpath) is
  'For each message: whether the rule matches it, and the SQLSTATE if PostgreSQL cannot evaluate the rule on it. Then the rule does not match it. errors is null if there are no errors.';

create or replace function slack.evaluate_rules(messages jsonb[], out discarded int4[], out failures jsonb)
language plpgsql stable
as $func$
declare
  rule record;
  found record;
begin
  discarded := array_fill(null::int4, array[cardinality(messages)]);
  for rule in select d.id, d.match from slack.message_discard d order by d.id loop
    select f.is_match, f.errors into found from slack.matches(messages, rule.match) f;
    if true = any (found.is_match) then
      discarded := array
      ( select coalesce(r.rule_id, case when r.is_match then rule.id end)
        from unnest(discarded, found.is_match) with ordinality r (rule_id, is_match, position)
        order by r.position
      );
    end if;
    if found.errors is not null then
      failures := coalesce(failures, '[]') ||
      ( select jsonb_build_object('rule_id', rule.id, 'failures', count(*), 'sqlstate', max(e.error))
        from unnest(found.errors) e (error)
        where e.error is not null
      );
    end if;
  end loop;
end
$func$;
comment on function slack.evaluate_rules(jsonb[]) is
  'For each message: the first rule that discards it, or null. And the rules that failed on some of the messages, as [{"rule_id", "failures", "sqlstate"}] for slack.count_rule_failures(), or null. Live events, imports, backfills and replays all use this function.';

create or replace function slack.count_rule_failures(failures jsonb)
returns void
language plpgsql
as $func$
declare
  n record;
begin
  for n in select r.* from jsonb_to_recordset(failures) r (rule_id int4, failures int8, sqlstate text) loop
    update slack.message_discard_failure f set
      failures = f.failures + n.failures
    , last_at = now()
    , sqlstate = n.sqlstate
    where f.id =
    ( select o.id
      from slack.message_discard_failure o
      where o.rule_id = n.rule_id
      order by o.id
      limit 1
      for update skip locked
    );
    if not found then
      insert into slack.message_discard_failure (rule_id, failures, sqlstate) values (n.rule_id, n.failures, n.sqlstate);
    end if;
  end loop;
end
$func$;
comment on function slack.count_rule_failures(jsonb) is
  'Adds failures to slack.message_discard_failure, in the transaction of the messages. Never waits: if all rows of the rule are locked, it adds a row. So a rule has at most as many rows as there are concurrent transactions.';

create or replace function slack.discarded_by(message jsonb)
returns int4
language sql stable
as $func$
  select e.discarded[1] from slack.evaluate_rules(array[message]) e
$func$;
comment on function slack.discarded_by(jsonb) is 'The first rule that discards the message; null if none does.';
