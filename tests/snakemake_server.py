"""Runs Snakemake in forks of a process that has loaded it: most of the time of a plan is importing Snakemake.

All runs share one server of jobs (nctransfer/runtime/fork_server.py).
Reads one JSON object per line (arguments, folder, environment, files for both outputs), answers with the exit status.
"""

import importlib.util
import json
import os
import runpy
import sys
from pathlib import Path

import snakemake.api
import snakemake.cli
import snakemake.workflow  # noqa: F401


def become(asked: dict, server_of_jobs: dict[str, str]) -> None:
    """Turn this process into ``python -m snakemake`` with the arguments that are asked for."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"] | server_of_jobs)
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], flags),
        (2, asked["err"], flags),
    ):
        opened = os.open(path, how)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv, sys.path[0] = ["snakemake", *asked["arguments"]], asked["folder"]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


def main() -> None:
    """Serve until the end of the input."""
    # by its path: no run must find this package loaded instead of its own
    path = Path(__file__).parents[1] / "nctransfer" / "runtime" / "fork_server.py"
    specification = importlib.util.spec_from_file_location("fork_server", path)
    fork_server = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(fork_server)
    fork_server.start()
    server_of_jobs = {name: os.environ[name] for name in (fork_server.SOCKET,) if name in os.environ}
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(json.loads(line), server_of_jobs)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
