create or replace function slack.grant_to_roles()
returns void
language plpgsql
as $func$
declare
  for_readers constant text[] := array
  [ 'find_user_by_email', 'find_user_by_user_name', 'search_user_by_email', 'search_user_by_user_name'
  , 'search_user_by_names', 'find_channel_by_name', 'search_channel_by_name', 'get_thread_stats', 'get_thread_by_range'
  , 'get_thread_from_end', 'get_channel_by_range', 'channel_messages', 'get_messages', 'get_messages_by_key', 'thread_times', 'times_by_week'
  , 'get_activity', 'message_weeks'
  , 'search_term'
  , 'to_ts', 'to_timestamptz'
  -- What search_term() calls:
  , 'search_config', 'split_text', 'emoji_in', 'emoji_names', 'fold_text', 'quote_lexeme', 'name_document', 'is_visible'
  -- What other reading commands call: the history of a message, the trial of a rule, imports.
  , 'text_of', 'time_of', 'id_of', 'of_type', 'number_of', 'message_content', 'stored_message', 'evaluate_rules', 'matches', 'is_settled', 'is_loss', 'import_account'
  ];
  role text;
  routine text;
begin
  if to_regrole('tiger_slack_ingester') is null and to_regrole('tiger_slack_reader') is null then
    return;
  end if;
  -- Whoever may run a function must be named from now on.
  revoke execute on all functions in schema slack from public;
  for role in select r.name from unnest('{tiger_slack_ingester,tiger_slack_reader}'::text[]) r (name) where to_regrole(r.name) is not null loop
    execute format('grant usage on schema slack to %I', role);
    execute format('grant select on all tables in schema slack to %I', role);
  end loop;
  if to_regrole('tiger_slack_ingester') is not null then
    grant insert, update, delete on all tables in schema slack to tiger_slack_ingester;
    grant execute on all functions in schema slack to tiger_slack_ingester;
  end if;
  if to_regrole('tiger_slack_reader') is not null then
    for routine in
      select p.oid::regprocedure::text
      from pg_proc p
      where p.pronamespace = 'slack'::regnamespace
      and p.proname = any (for_readers)
    loop
      execute format('grant execute on function %s to tiger_slack_reader', routine);
    end loop;
  end if;
end
$func$;
comment on function slack.grant_to_roles() is
  'Gives the roles tiger_slack_ingester and tiger_slack_reader, as far as they exist, their rights. Each migration calls it at its end; tiger-slack roles prints the SQL that makes the roles.';
