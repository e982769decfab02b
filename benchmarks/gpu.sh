#!/usr/bin/env bash
# Ten minutes of one GPU: every stage against its floor and the obvious alternative, one after the other.
#
#     benchmarks/gpu.sh [FOLDER]
#
# Each step is a process of its own with a time-out. Its rows are in FOLDER/STEP.jsonl (by default ./gpu-benchmarks)
# when it ends, with what it printed beside them, so that an interrupted run keeps what it has.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
folder=${1:-gpu-benchmarks}
mkdir -p "$folder"
rm -f "$folder/rows.jsonl"
failed=0
while read -r step seconds; do
    echo "== $step (at most $seconds s)"
    rm -f "$folder/$step.jsonl"
    BENCHMARK_ROWS="$folder/$step.jsonl" timeout -k 10 "$seconds" "$python" benchmarks/gpu.py "$step" ${GPU_OPTIONS:-} \
        < /dev/null 2>&1 | tee "$folder/$step.log" || { echo "   failed or timed out"; failed=1; }
done <<'STEPS'
start 60
extraction-resnet50 60
extraction-vit 60
training 90
finetuning 90
probes 90
nc1 40
two-trainings 90
STEPS
cat "$folder"/*.jsonl > "$folder/rows.jsonl" && "$python" benchmarks/summary.py "$folder/rows.jsonl"
exit "$failed"
