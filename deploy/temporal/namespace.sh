#!/bin/sh
# Creates the namespace if it does not exist. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE come from the environment; search
# attributes and schedules are made by the starter.
set -eu

until temporal operator cluster health; do
	sleep 2
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
	temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "${TEMPORAL_RETENTION:-168h}"
