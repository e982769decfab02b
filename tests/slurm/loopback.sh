#!/usr/bin/env bash
# A Slurm cluster of one node on the loopback interface, for tests: two GPUs that are none,
# a queue that pre-empts the other, a munge key of its own. No systemd, no database, no root;
# everything lies under DIR, whose path should be short (a socket's has at most 107 bytes).
#
#   apt-get install --no-install-recommends slurm-wlm munge     (Debian, Ubuntu)
#
#   loopback.sh start DIR    start munged, slurmctld and slurmd
#   loopback.sh stop  DIR    stop them, and what they run
#   . DIR/env.sh             have sbatch, squeue, srun and snakemake find them
#
# SLURM_TEST_PORT moves the two ports (16817 and the next).
set -euo pipefail
verb=${1:?start or stop} dir=$(mkdir -p "${2:?DIR}" && cd "$2" && pwd)
port=${SLURM_TEST_PORT:-16817}
PATH=$PATH:/usr/sbin:/sbin

configure() {
    mkdir -p "$dir"/{state,spool,log,bin}
    local host
    host=$(hostname -s)
    cat >"$dir/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
ReturnToService=2
# squeue must remember jobs that have ended: no database answers sacct
MinJobAge=3600
# the node may claim more than the machine has, so that what the paper asks for fits
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=64 RealMemory=512000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=gpu Nodes=$host Default=YES MaxTime=2-00:00:00 State=UP PriorityTier=1 GraceTime=8
PartitionName=urgent Nodes=$host MaxTime=1:00:00 State=UP PriorityTier=9 PreemptMode=OFF
CONF
    # Slurm sets CUDA_VISIBLE_DEVICES only where File is a character device.
    cat >"$dir/gres.conf" <<CONF
AutoDetect=off
Name=gpu Type=fake File=/dev/null
Name=gpu Type=fake File=/dev/zero
CONF
    # Snakemake's jobstep executor drops SLURM_CONF before it calls srun; put it back.
    cat >"$dir/bin/srun" <<SH
#!/bin/sh
SLURM_CONF=$dir/slurm.conf exec $(command -v srun) "\$@"
SH
    chmod +x "$dir/bin/srun"
    echo "export SLURM_CONF=$dir/slurm.conf PATH=$dir/bin:\$PATH" >"$dir/env.sh"
}

start() {
    configure
    [ -f "$dir/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.sock" \
        --pid-file="$dir/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munged.seed"
    export SLURM_CONF=$dir/slurm.conf
    slurmctld -c
    slurmd -c
    for _ in $(seq 100); do
        [ "$(sinfo -h -p gpu -o %t 2>/dev/null)" = idle ] && return
        sleep 0.2
    done
    echo "slurm did not come up; see $dir/log" >&2
    return 1
}

stop() {
    export SLURM_CONF=$dir/slurm.conf
    [ ! -f "$SLURM_CONF" ] || timeout 20 scancel --user="$(id -un)" 2>/dev/null || true
    for daemon in slurmd slurmctld munged; do
        [ ! -f "$dir/$daemon.pid" ] || kill "$(cat "$dir/$daemon.pid")" 2>/dev/null || true
    done
}

"$verb"
