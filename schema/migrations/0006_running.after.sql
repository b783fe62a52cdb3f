-- After the code: whoever appends from now on keeps the exact view `running` (projections/exact.py). What began before is filled in.

insert into view_rows (view, key, value, position)
select
    'running.1',
    substr(s.name, length('session:') + 1),
    convert_from(e.payload, 'UTF8')::json ->> 'guild' || ' ' || (convert_from(e.payload, 'UTF8')::json ->> 'by'),
    e.position
from events as e
inner join streams as s on s.id = e.stream
where
    e.kind = 'session.requested'
    and s.name like 'session:%'
    and not exists (select from events as c where c.stream = e.stream and c.kind = 'session.closed')
on conflict (view, key) do nothing;
