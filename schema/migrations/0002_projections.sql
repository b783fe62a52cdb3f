-- Views that follow the log (projections/keyed.py). A view may be built anew beside the one that is read: each build is a
-- generation, and the live one is what readers see.

create table projections (
    generation bigint generated always as identity primary key,
    name text not null,
    version integer not null,
    live boolean not null,
    position bigint not null default 0, -- of the last event in it
    hash bytea, -- of that event
    unique (name, live)
) with (fillfactor = 10);

create table projection_rows (
    generation bigint not null,
    key text not null,
    value text not null,
    primary key (generation, key)
);

-- Bring a generation from one position to another, with the rows that changed. False: it is not at that position (any more).
create function projection_advance(
    _generation bigint, _from bigint, _to bigint, _hash bytea, _keys text [], _values text []
) returns boolean language plpgsql as $$
begin
    update projections set position = _to, hash = _hash where generation = _generation and position = _from;
    if not found then
        return false;
    end if;
    if cardinality(_keys) > 0 then
        insert into projection_rows (generation, key, value)
        select _generation, r.key, r.value from unnest(_keys, _values) as r (key, value)
        on conflict (generation, key) do update set value = excluded.value;
    end if;
    return true;
end
$$;
