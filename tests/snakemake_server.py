"""Runs Snakemake in forks of a process that has loaded it: most of the time of a plan is importing Snakemake.

Reads one JSON object per line (arguments, folder, environment, files for both outputs), answers with the exit status.
"""

import json
import os
import runpy
import sys

import snakemake.api
import snakemake.cli
import snakemake.workflow  # noqa: F401


def become(asked: dict) -> None:
    """Turn this process into ``python -m snakemake`` with the arguments that are asked for."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
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
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
