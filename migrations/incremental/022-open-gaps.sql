-- Each channel asks for the open gaps that concern it. There can be one for each of thousands of channels.
create index gap_open_channel_idx on slack.gap (channel_id) where closed_at is null;
