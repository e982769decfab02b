#!/usr/bin/env bash
# Submits a job of the workflow to Kubernetes and prints its name.
#
#   submit.sh GPUS MEMORY_MB MINUTES THREADS JOBSCRIPT
#
# NCTRANSFER_IMAGE    image with the packages of requirements.lock
# NCTRANSFER_CLAIM    claim of the volume that holds this folder (ReadWriteMany)
# NCTRANSFER_MOUNT    where the volume is mounted; this folder must lie below, by the same path
set -euo pipefail
gpus=$1 memory=$2 minutes=$3 threads=$4 script=$5
: "${NCTRANSFER_IMAGE:?name the image of the jobs}" "${NCTRANSFER_CLAIM:?name the claim of the shared volume}"
mount=${NCTRANSFER_MOUNT:-/nctransfer}
case $PWD/ in
    "$mount"/*) ;;
    *)
        echo "$PWD is not below $mount (NCTRANSFER_MOUNT): the jobs would not find it" >&2
        exit 1
        ;;
esac
[ "$gpus" = 0 ] && limit= || limit="nvidia.com/gpu: $gpus"

kubectl create --output=name --filename=- <<JOB
apiVersion: batch/v1
kind: Job
metadata: {generateName: nctransfer-}
spec:
  backoffLimit: 0
  template:
    spec:
      activeDeadlineSeconds: $((minutes * 60))
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
      containers:
        - name: job
          image: "$NCTRANSFER_IMAGE"
          command: [bash, "$(realpath "$script")"]
          workingDir: "$PWD"
          resources:
            requests: {cpu: "$threads", memory: "${memory}M"}
            limits: {memory: "${memory}M"${limit:+, $limit}}
          volumeMounts: [{name: shared, mountPath: "$mount"}]
      volumes:
        - name: shared
          persistentVolumeClaim: {claimName: "$NCTRANSFER_CLAIM"}
JOB
