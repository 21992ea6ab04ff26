create or replace function slack.grant_to_roles()
returns void
language plpgsql
as $func$
declare
  role text;
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
    grant execute on function
      slack.find_user_by_email(text)
    , slack.find_user_by_user_name(text)
    , slack.search_user_by_email(text)
    , slack.search_user_by_user_name(text)
    , slack.search_user_by_names(text)
    , slack.find_channel_by_name(text)
    , slack.search_channel_by_name(text)
    , slack.get_thread_stats(text, timestamptz)
    , slack.get_thread_by_range(text, timestamptz, tstzrange)
    , slack.get_thread_from_end(text, timestamptz, int8)
    , slack.get_channel_by_range(text, tstzrange, int8)
    , slack.search_term(text, bool, text[])
    , slack.to_ts(timestamptz)
    , slack.to_timestamptz(text)
    -- What these call:
    , slack.search_config(text)
    , slack.split_text(text, bool)
    , slack.fold_text(text)
    , slack.quote_lexeme(text)
    , slack.name_document(text[])
    to tiger_slack_reader;
  end if;
end
$func$;
comment on function slack.grant_to_roles() is
  'Gives the roles tiger_slack_ingester and tiger_slack_reader, as far as they exist, their rights. Each migration calls it at its end; tiger-slack roles prints the SQL that makes the roles.';
