#!/usr/bin/env bash
# Trains on several GPUs with torchrun, or on several CPU processes where there is no GPU (NCCL or gloo).
#
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#   CUDA_VISIBLE_DEVICES= tools/dist_train.sh configs/lanet/r18_synthfaces.py 2
#
# Environment: PYTHON (default: the active environment's, else .venv's), PORT (default: a free one), OMP_NUM_THREADS
# (default: the cores shared out). Several machines: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]; GPUS is a number from 1" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2

if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python3
    if [[ -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} && -x $root/.venv/bin/python ]]; then PYTHON=$root/.venv/bin/python; fi
fi
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > gpus ? cores / gpus : 1))}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}

if [[ ${NNODES:-1} -gt 1 ]]; then
    rendezvous=(--nnodes="$NNODES" --node_rank="${NODE_RANK:?}" --master_addr="${MASTER_ADDR:?}" --master_port="${PORT:-29500}")
elif [[ -n ${PORT:-} ]]; then
    rendezvous=(--nnodes=1 --master_addr=127.0.0.1 --master_port="$PORT")
else # a free port; by address, as a container's host name need not resolve
    rendezvous=(--nnodes=1 --rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1)
fi
exec "$PYTHON" "$root/tools/dist_launch.py" "${rendezvous[@]}" --nproc_per_node="$gpus" \
    "$root/tools/train.py" "$config" --launcher pytorch "$@"
