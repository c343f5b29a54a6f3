#!/bin/bash
# Of the official entrypoint what a stack may use: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD, each also
# as NAME_FILE; root becomes mongodb first, so a password's file must be readable for that user.
set -euo pipefail

[ "${1:0:1}" != - ] || set -- mongod "$@"
if [[ $1 == mongo* ]] && [ "$(id -u)" = 0 ]; then
    [ "$1" != mongod ] || find -L /data/configdb /data/db ! -user mongodb -exec chown mongodb '{}' +
    exec gosu mongodb "$0" "$@"
fi

# setting NAME
setting() {
    local name=$1 file=${1}_FILE
    if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $name and $file are set" >&2
        exit 1
    fi
    [ -z "${!file:-}" ] || printf -v "$name" '%s' "$(<"${!file}")"
    [ -z "${!name:-}" ] || export "${name?}"
    unset "$file"
}

if [ "$1" = mongod ]; then
    setting MONGO_INITDB_ROOT_USERNAME
    setting MONGO_INITDB_ROOT_PASSWORD
    both=${MONGO_INITDB_ROOT_USERNAME:+u}${MONGO_INITDB_ROOT_PASSWORD:+p}
    if [ -n "$both" ] && [ "$both" != up ]; then
        echo 'error: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD come together' >&2
        exit 1
    fi
fi
exec "$@"
