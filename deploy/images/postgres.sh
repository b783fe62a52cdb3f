#!/bin/sh
# The main process of deploy/images/postgres.Dockerfile. The first time it makes the database, and the three roles whose names
# and passwords are files in /roles/{owner,bot,gateway}; a start that was cut is begun anew.
set -eu

word() { cat "/roles/$1/$2"; }
# as SQL writes a text: the single-user server knows no variables
quoted() { word "$1" "$2" | sed "s/'/''/g"; }
role() { printf "create role \"%s\" login password '%s';\n" "$(word "$1" username)" "$(quoted "$1" password)"; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    new=$PGDATA.new
    rm -rf -- "$new"
    initdb --pgdata="$new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth=trust --no-instructions
    {
        role owner
        role bot
        role gateway
        printf 'create database discord_claude owner "%s";\n' "$(word owner username)"
    } | postgres --single -D "$new" postgres >/dev/null
    mv -- "$new" "$PGDATA"
fi
printf 'host all all all scram-sha-256\n' >"$PGDATA/pg_hba.conf"
exec postgres -D "$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories= -c password_encryption=scram-sha-256
