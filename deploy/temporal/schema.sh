#!/bin/sh
# Brings Temporal's two databases to the schema of this version of Temporal: creates it on the first start, migrates it
# after an upgrade, changes nothing otherwise. The password comes in SQL_PASSWORD.
set -eu

for database in temporal temporal_visibility; do
	case "$database" in
	temporal) schema=postgresql/v12/temporal ;;
	*) schema=postgresql/v12/visibility ;;
	esac
	tool() {
		temporal-sql-tool --plugin postgres12 --endpoint postgres --port 5432 --user temporal --database "$database" "$@"
	}
	tool setup-schema --version 0.0
	tool update-schema --schema-name "$schema"
done
