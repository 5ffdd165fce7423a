#!/usr/bin/env bash
# A real SLURM of one node, from Debian packages: `one_node.sh start FOLDER`, later `one_node.sh stop FOLDER`.
#
# Needs root. Configuration, state, sockets, logs and process ids all lie in FOLDER; outside it there are the packages
# and, while the node runs, a link in /etc/slurm: jobs of Snakemake's plugin do not hand SLURM_CONF on. A SLURM that the
# machine has already is left alone. The node has as many CPUs as the machine, and one GPU that is none.
set -euo pipefail

usage="usage: one_node.sh start|stop FOLDER"
action=${1:?$usage}
folder=$(realpath -m "${2:?$usage}")
export SLURM_CONF=$folder/slurm.conf
link=/etc/slurm/slurm.conf
host=$(hostname -s)

install_packages() {
    if ! command -v munged slurmctld slurmd sbatch >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq --no-install-recommends munge slurm-wlm >/dev/null
    fi
}

write_configuration() {
    local memory_mb
    memory_mb=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
    mkdir -p "$folder"/{munge,state,spool,log,pid}
    chmod 700 "$folder/munge"
    # Stands for a GPU: SLURM wants a device file for each, and never opens it.
    test -c "$folder/gpu0" || mknod "$folder/gpu0" c 1 3
    (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
    echo "NodeName=$host Name=gpu File=$folder/gpu0" >"$folder/gres.conf"
    # A job stays in the books for an hour, so that squeue can tell how it ended: there is no accounting.
    # Memory is booked but not enforced, and processes are found by their parents: that works without cgroups.
    cat >"$SLURM_CONF" <<END
ClusterName=trim
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/pid/slurmctld
SlurmdPidFile=$folder/pid/slurmd
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu
MinJobAge=3600
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory_mb Gres=gpu:1
PartitionName=cpu Nodes=ALL Default=YES
PartitionName=gpu Nodes=ALL
END
}

wait_until() { # wait_until SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            echo "one_node.sh: no success within its time: $*" >&2
            tail -n 20 "$folder"/log/* >&2
            return 1
        fi
        sleep 0.2
    done
}

start() {
    if [[ -e $link && ! -L $link ]]; then
        echo "one_node.sh: $link is there: this machine has a SLURM of its own" >&2
        return 1
    fi
    install_packages
    write_configuration
    mkdir -p "${link%/*}"
    ln -sfn "$SLURM_CONF" "$link"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/pid/munged" \
        --log-file="$folder/log/munged" --seed-file="$folder/munge/seed"
    slurmctld
    slurmd
    wait_until 30 srun --immediate=5 true
}

stop() { # the children first, then what they need
    local name pid
    scancel --user="$(id -un)" 2>/dev/null || true
    for name in slurmd slurmctld munged; do
        if pid=$(cat "$folder/pid/$name" 2>/dev/null) && kill "$pid" 2>/dev/null; then
            wait_until 20 bash -c "! kill -0 $pid"
        fi
    done
    if [[ $(readlink "$link") == "$SLURM_CONF" ]]; then rm "$link"; fi
}

case $action in
start) start ;;
stop) stop ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
