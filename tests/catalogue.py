"""Reads what a schema consists of from PostgreSQL's catalogue, so that two databases can be compared."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

_CATALOGUE: LiteralString = """
with mine as (select oid from pg_namespace where nspname = 'slack')
select 'schema', 'slack', concat_ws(' | ', obj_description(n.oid), n.nspacl::text)
from pg_namespace n
join mine on mine.oid = n.oid
union all
select 'relation', c.relname
, concat_ws(' | ', c.relkind, c.relpersistence, c.reloptions::text, c.relacl::text, obj_description(c.oid))
from pg_class c
join mine on mine.oid = c.relnamespace
union all
select 'column', c.relname || '.' || a.attname
, concat_ws
  ( ' | ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end, a.attidentity
  , a.attgenerated, a.attstorage, a.attcompression, nullif(a.attstattarget, -1), a.attoptions::text, a.attacl::text
  , pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
  )
from pg_class c
join mine on mine.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relkind <> 'i'
union all
select 'order of columns', c.relname, string_agg(a.attname, ', ' order by a.attnum)
from pg_class c
join mine on mine.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind <> 'i'
group by c.relname
union all
select 'index', c.relname, pg_get_indexdef(c.oid) || case when i.indisvalid then '' else ' | invalid' end
from pg_class c
join mine on mine.oid = c.relnamespace
join pg_index i on i.indexrelid = c.oid
union all
select 'constraint', coalesce(c.relname || '.', '') || n.conname
, concat_ws(' | ', pg_get_constraintdef(n.oid), case when not n.convalidated then 'new' end, obj_description(n.oid))
from pg_constraint n
join mine on mine.oid = n.connamespace
left join pg_class c on c.oid = n.conrelid
union all
select 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join mine on mine.oid = c.relnamespace
where not t.tgisinternal
union all
select 'function', p.oid::regprocedure::text
, concat_ws(' | ', pg_get_functiondef(p.oid), p.proacl::text, obj_description(p.oid))
from pg_proc p
join mine on mine.oid = p.pronamespace
union all
select 'type', t.typname, concat_ws(' | ', t.typtype, t.typacl::text, obj_description(t.oid))
from pg_type t
join mine on mine.oid = t.typnamespace
union all
select 'view', c.relname, pg_get_viewdef(c.oid)
from pg_class c
join mine on mine.oid = c.relnamespace
where c.relkind in ('v', 'm')
union all
select 'statistics', s.stxname, pg_get_statisticsobjdef(s.oid)
from pg_statistic_ext s
join mine on mine.oid = s.stxnamespace
union all
select 'text search dictionary', d.dictname
, concat_ws(' | ', d.dicttemplate::regproc, d.dictinitoption, obj_description(d.oid))
from pg_ts_dict d
join mine on mine.oid = d.dictnamespace
union all
select 'text search configuration', f.cfgname
, concat_ws
  ( ' | ', f.cfgparser::regproc, obj_description(f.oid)
  , ( select string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' order by m.maptokentype, m.mapseqno)
      from pg_ts_config_map m
      where m.mapcfg = f.oid
    )
  )
from pg_ts_config f
join mine on mine.oid = f.cfgnamespace
"""


def read_catalogue(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], str]:
    """All that the schema slack consists of, as text by kind and name."""
    rows = connection.execute(_CATALOGUE).fetchall()
    return {(kind, name): text for kind, name, text in rows}
