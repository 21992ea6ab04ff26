-- With TimescaleDB, messages and events become hypertables; without it they stay ordinary tables.
do $block$
begin
  if not exists (select from pg_extension where extname = 'timescaledb') then
    return;
  end if;

  perform create_hypertable('slack.message', by_range('ts', interval '7 days'), create_default_indexes => false);
  perform create_hypertable('slack.event', by_range('event_ts', interval '7 days'), create_default_indexes => false);

  -- The Apache edition has hypertables, but neither columnstore nor policies.
  begin
    alter table slack.message set
    ( timescaledb.enable_columnstore
    , timescaledb.segmentby = 'channel_id'
    , timescaledb.orderby = 'ts desc'
    );
    alter table slack.event set
    ( timescaledb.enable_columnstore
    , timescaledb.segmentby = 'channel_id'
    , timescaledb.orderby = 'event_ts desc, id desc'
    );
    -- Newer versions make a columnstore policy by themselves, with an interval of their own.
    call remove_columnstore_policy('slack.message', if_exists => true);
    call remove_columnstore_policy('slack.event', if_exists => true);
    call add_columnstore_policy('slack.message', after => interval '45 days');
    call add_columnstore_policy('slack.event', after => interval '45 days');
    perform add_retention_policy('slack.event', drop_after => interval '90 days');
  exception when feature_not_supported then
    if sqlerrm not like '%license%' then
      raise;
    end if;
  end;
end
$block$;
