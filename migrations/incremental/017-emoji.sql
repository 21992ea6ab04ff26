-- Emoji characters are searched by name now, also those in names. 012-search.sql makes these indexes anew.
drop index if exists slack.user_search_idx, slack.channel_search_idx;
