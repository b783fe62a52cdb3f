-- After the code: whoever appends from now on keeps the exact views `members` and `quota` (projections/exact.py). What they
-- did not see is filled in; nobody appends meanwhile.

select position from log_head for update;
delete from view_rows where view in ('members.1', 'quota.1');
insert into view_rows (view, key, value, position)
select 'members.1', l.key, l.role, l.position
from (
    select distinct on (f.key)
        f.key,
        f.position,
        case f.kind when 'guild.owner_confirmed' then 'owner' when 'guild.role_given' then f.role
            else case f.role when 'owner' then 'user' end
        end as role
    from (
        select
            substr(s.name, length('guild:') + 1) || ' ' || (convert_from(e.payload, 'UTF8')::json ->> 'person') as key,
            e.position,
            e.kind,
            convert_from(e.payload, 'UTF8')::json ->> 'role' as role
        from events as e
        inner join streams as s on s.id = e.stream
        where e.kind in ('guild.owner_confirmed', 'guild.role_given', 'guild.role_taken')
    ) as f
    order by f.key, f.position desc
) as l
where l.role is not null;
insert into view_rows (view, key, value, position)
select 'quota.1', l.session, l.reservation, l.position
from (
    select distinct on (f.session)
        f.session,
        f.position,
        case f.kind when 'slots.asked' then '' when 'slots.granted' then f.reservation end as reservation
    from (
        select
            coalesce(
                convert_from(e.payload, 'UTF8')::json ->> 'session',
                regexp_replace(convert_from(e.payload, 'UTF8')::json ->> 'reservation', '-[^-]*$', '')
            ) as session,
            e.position,
            e.kind,
            convert_from(e.payload, 'UTF8')::json ->> 'reservation' as reservation
        from events as e
        where e.kind in ('slots.asked', 'slots.granted', 'slots.left', 'slots.released')
    ) as f
    order by f.session, f.position desc
) as l
where l.reservation is not null;
