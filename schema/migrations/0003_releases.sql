-- Before the code: a replica says with which migrations it was written, so that what older ones need is not taken from them.
-- 0: of a release that did not say so. Those go on calling log_join with one argument.

alter table replicas add column release integer not null default 0;

create function log_join(_replica integer, _release integer) returns integer language plpgsql as $$
declare
    _other integer;
begin
    perform from log_head for update;
    for _other in select id from replicas where id is distinct from _replica loop
        if pg_try_advisory_xact_lock(2, _other) then
            update leases set owner = null where owner = _other;
            delete from replicas where id = _other;
        end if;
    end loop;
    if _replica is null then
        insert into replicas (release) values (_release) returning id into _replica;
    else
        insert into replicas (id, release) values (_replica, _release) on conflict (id) do nothing;
    end if;
    perform pg_advisory_lock_shared(2, _replica);
    update log_head set listeners = (select count(*) from replicas);
    return _replica;
end
$$;
