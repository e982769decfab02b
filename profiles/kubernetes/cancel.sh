#!/usr/bin/env bash
# Cancels jobs, without waiting for them to end.
exec kubectl delete --wait=false --ignore-not-found "$@"
