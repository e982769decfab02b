#!/usr/bin/env bash
# Says what became of a job: running, success or failed (deleted ones have failed).
set -euo pipefail
state=$(kubectl get "$1" --ignore-not-found \
    --output=jsonpath='{.metadata.name} {.status.conditions[?(@.status=="True")].type}')
case $state in
    "" | *Failed*) echo failed ;;
    *Complete*) echo success ;;
    *) echo running ;;
esac
