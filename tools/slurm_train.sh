#!/usr/bin/env bash
# Trains on a Slurm cluster, one task a GPU.
#
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
#   GPUS=16 GPUS_PER_NODE=8 tools/slurm_train.sh gpu lanet configs/lanet/r50_rafdb.py --amp
#
# Environment: GPUS (tasks, default 8), GPUS_PER_NODE (default 8; 0 trains on CPUs), TASKS_PER_NODE (default
# GPUS_PER_NODE), CPUS_PER_TASK (default 5), MASTER_PORT (default: drawn from the job's id, so that two jobs on a node
# do not meet), SRUN_ARGS, PYTHON (default python3; srun passes the active environment on).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ $# -lt 3 ]]; then
    echo "usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3
shift 3

gpus=${GPUS:-8} gpus_per_node=${GPUS_PER_NODE:-8} cpus_per_task=${CPUS_PER_TASK:-5}
tasks_per_node=${TASKS_PER_NODE:-$((gpus_per_node > 0 ? gpus_per_node : gpus))}
tasks_per_node=$((tasks_per_node < gpus ? tasks_per_node : gpus))
resources=(--ntasks="$gpus" --ntasks-per-node="$tasks_per_node" --cpus-per-task="$cpus_per_task")
if [[ $gpus_per_node -gt 0 ]]; then
    resources+=(--gres="gpu:$((gpus_per_node < gpus ? gpus_per_node : gpus))")
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus_per_task}
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}

# shellcheck disable=SC2016,SC2086 # the port is drawn inside the job, whose id does not exist yet; SRUN_ARGS is a list
exec srun --partition="$partition" --job-name="$job_name" "${resources[@]}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    bash -c 'export MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}; exec "$@"' bash \
    "${PYTHON:-python3}" -u "$root/tools/train.py" "$config" --launcher slurm "$@"
