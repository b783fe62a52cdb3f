-- Files of sessions that could not be posted in Discord, under the key of who started the session (adapters/postgres/kept_files.py).

create table kept_files (
    session text not null,
    name text not null,
    size bigint not null,
    sealed bytea not null,
    kept_at timestamptz not null default now(),
    primary key (session, name)
);
