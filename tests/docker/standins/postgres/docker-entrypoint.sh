#!/bin/bash
# Of the official entrypoint what a stack may use: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as NAME_FILE),
# POSTGRES_INITDB_ARGS, scripts and SQL in /docker-entrypoint-initdb.d; root becomes postgres.
set -euo pipefail

# setting NAME DEFAULT
setting() {
    local name=$1 file=${1}_FILE
    if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $name and $file are set" >&2
        exit 1
    fi
    [ -z "${!file:-}" ] || printf -v "$name" '%s' "$(<"${!file}")"
    [ -n "${!name:-}" ] || printf -v "$name" '%s' "$2"
    export "${name?}"
    unset "$file"
}

sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"; }

make_cluster() {
    [ -n "$POSTGRES_PASSWORD" ] || {
        echo 'error: POSTGRES_PASSWORD is empty and there is no database yet' >&2
        exit 1
    }
    # shellcheck disable=SC2086 # arguments
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    export PGPASSWORD=$POSTGRES_PASSWORD
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    [ "$POSTGRES_DB" = postgres ] ||
        psql --no-psqlrc --username "$POSTGRES_USER" --dbname postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh) bash "$file" ;;
        *.sql) sql -f "$file" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
}

if [ "$1" = postgres ]; then
    setting POSTGRES_PASSWORD ''
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chown -R postgres "$PGDATA"
        chmod 700 "$PGDATA"
        exec gosu postgres "$0" "$@"
    fi
    [ -s "$PGDATA/PG_VERSION" ] || make_cluster
fi
exec "$@"
