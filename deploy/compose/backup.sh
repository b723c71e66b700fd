#!/bin/bash
# Dumps both databases, deletes dumps that are older than BACKUP_KEEP_DAYS, and waits for the next day.
# `backup.sh once` does it once. The server and the role are in PGHOST, PGUSER and PGPASSWORD.
set -euo pipefail
umask 077

dump() {
    local name=$1 file
    file="$BACKUP_FOLDER/$name-$(date --utc +%Y%m%dT%H%M%SZ).dump"
    pg_dump --format=custom --file="$file.part" --dbname="$name"
    # What has the name of a dump is whole.
    mv "$file.part" "$file"
    echo "$file: $(stat --format=%s "$file") bytes"
}

backup() {
    rm -f "$BACKUP_FOLDER"/*.part
    dump airflow
    dump calendar_sync
    find "$BACKUP_FOLDER" -name '*.dump' -mtime "+$BACKUP_KEEP_DAYS" -delete
}

if [ "${1:-}" = once ]; then
    backup
    exit
fi
# After a failure the container is started again, and tries at once.
while true; do
    backup
    sleep 1d
done
