#!/usr/bin/env bash
# Workers of one study as a Slurm array job: sbatch --array=1-8 deploy/slurm.sh my-study.yaml
# Each task is one worker. Set SSLWEAR_STORAGE and MLFLOW_TRACKING_URI before, as docs/workers.md describes.
#SBATCH --job-name=sslwear
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=sslwear-%A_%a.log
# For one GPU a worker, add: --gres=gpu:1
set -euo pipefail

file=${1:?usage: sbatch --array=1-N deploy/slurm.sh FILE}
: "${SSLWEAR_STORAGE:?is not set. Set it to postgresql+psycopg://USER@HOST/DATABASE}"
: "${MLFLOW_TRACKING_URI:?is not set. Set it to http://HOST:PORT}"
# Prepared data sets and cached features stay on the node.
export SSLWEAR_HOME=${SSLWEAR_HOME:-${TMPDIR:-/tmp}/sslwear-$USER}

# exec, so that signals reach the worker. USR1 comes two minutes before the end: the trial in hand is given back.
exec sslwear study worker "$file" --set "threads=${SLURM_CPUS_PER_TASK:-1}"
