-- Readers look people and channels up by name and address, in any case. With 50,000 users each look-up read all of them.
create index user_email_idx on slack."user" (lower(email));
create index user_name_idx on slack."user" (lower(user_name));
create index channel_lower_name_idx on slack.channel (lower(channel_name));
create index channel_name_lower_name_idx on slack.channel_name (lower(channel_name));
comment on index slack.user_email_idx is 'Users by e-mail address, in any case.';
comment on index slack.user_name_idx is 'Users by handle, in any case.';
comment on index slack.channel_lower_name_idx is 'Channels by present name, in any case.';
comment on index slack.channel_name_lower_name_idx is 'Channels by present and earlier names, in any case.';
