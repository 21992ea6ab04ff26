-- Who may see a channel depends on its type. Programs that answer questions for others, as the MCP server does, need it.
alter table slack.channel add column channel_type text;
comment on column slack.channel.channel_type is 'channel (public), group (private), mpim or im, as in slack.message; null while Slack has not said.';
