# Read by the shells that start jobs (BASH_ENV): the folder of a test's project, which no job reads there, would
# keep jobs from sharing a process that has their libraries loaded (nctransfer/runtime/fork_server.py).
unset PWD OLDPWD
