#!/bin/sh
# Makes a user with databases of its own for Temporal and for Tallystick. The PostgreSQL image runs it once, on an empty
# data volume.
set -eu

psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
	-v temporal_password="$TEMPORAL_DB_PASSWORD" -v tallystick_password="$TALLYSTICK_DB_PASSWORD" <<'SQL'
CREATE USER temporal PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE USER tallystick PASSWORD :'tallystick_password';
CREATE DATABASE tallystick OWNER tallystick;
SQL
