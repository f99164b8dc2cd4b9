#!/usr/bin/env bash
# Tests a checkpoint on several GPUs with torchrun, or on several CPU processes where there is no GPU (NCCL or gloo).
#
#   tools/dist_test.sh [CONFIG] CHECKPOINT GPUS [arguments of tools/test.py]
#
# Environment: as tools/dist_train.sh, on one machine.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
files=()
while [[ $# -gt 0 && ! $1 =~ ^[1-9][0-9]*$ && ${#files[@]} -lt 3 ]]; do
    files+=("$1")
    shift
done
if [[ $# -lt 1 || ${#files[@]} -lt 1 || ${#files[@]} -gt 2 || ${files[-1]} == *.py ]]; then
    echo "usage: tools/dist_test.sh [CONFIG] CHECKPOINT GPUS [arguments of tools/test.py]; GPUS is a number from 1" >&2
    exit 2
fi
gpus=$1
shift

if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python3
    if [[ -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} && -x $root/.venv/bin/python ]]; then PYTHON=$root/.venv/bin/python; fi
fi
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > gpus ? cores / gpus : 1))}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}

if [[ -n ${PORT:-} ]]; then
    rendezvous=(--nnodes=1 --master_addr=127.0.0.1 --master_port="$PORT")
else # a free port; by address, as a container's host name need not resolve
    rendezvous=(--nnodes=1 --rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1)
fi
exec "$PYTHON" "$root/tools/dist_launch.py" "${rendezvous[@]}" --nproc_per_node="$gpus" \
    "$root/tools/test.py" "${files[@]}" --launcher pytorch "$@"
