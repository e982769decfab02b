"""Runs Snakemake in forks of a process that has loaded it: most of the time of a plan is importing Snakemake.

All runs share one server of jobs (nctransfer/runtime/fork_server.py).
Reads one JSON object per line (arguments, folder, environment, files for both outputs), answers with the exit status.
"""

import atexit
import gc
import importlib.util
import json
import os
import runpy
import sys
import threading
from pathlib import Path
from typing import NoReturn

import snakemake.api
import snakemake.cli
import snakemake.workflow


def become(asked: dict, server_of_jobs: dict[str, str]) -> NoReturn:
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
    status: object = None
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
    # without taking apart what was loaded, which takes as long as a short plan
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def main() -> None:
    """Serve until the end of the input."""
    # by its path: no run must find this package loaded instead of its own
    path = Path(__file__).parents[1] / "nctransfer" / "runtime" / "fork_server.py"
    specification = importlib.util.spec_from_file_location("fork_server", path)
    fork_server = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(fork_server)
    fork_server.start()
    server_of_jobs = {name: os.environ[name] for name in (fork_server.SOCKET,) if name in os.environ}
    snakemake.cli.get_argument_parser()  # loads all plugins
    gc.freeze()  # else forks would copy what they never touch
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(json.loads(line), server_of_jobs)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
