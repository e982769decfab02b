"""Starts jobs as forks of a process that has the libraries loaded: importing is most of a short job's time.

A run starts this file as a program of its own (:func:`start`), which loads nothing until the first job comes.
A script hands itself over (:func:`hand_over`), passes signals on and ends as its job ends. Jobs with the same
environment come from one loaded process, because libraries read some variables, such as the number of
threads, when they are loaded. The package itself is imported by each job. Where no server answers, or one
that runs elsewhere (another Python, container or cgroup), the script simply goes on by itself.

Uses the standard library only: as a program it must not load the package, of which a job may use another
copy.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SOCKET = "NCTRANSFER_FORK_SERVER"
LIBRARIES = (
    "pydantic", "pandas", "pyarrow.parquet", "scipy.optimize", "scipy.stats", "matplotlib.pyplot", "seaborn",
    "torch", "torchvision", "timm", "safetensors.torch",
)  # fmt: skip
# Loaded processes at a time (300 MB each); a run needs one for each number of threads.
MOST_LOADED = 3
# Variables that no library reads, and that differ between jobs.
IGNORED = ("NCTRANSFER_", "PYTEST_", "PWD", "OLDPWD")
BEGUN = b"begun"
# A message with the environment of a job must fit into the buffer of a socket.
MESSAGE_BYTES = 1 << 18

# By environment, the ways to loaded processes.
Loaded = dict[tuple[tuple[str, str], ...], socket.socket]

_server: subprocess.Popen[bytes] | None = None


def start() -> None:
    """Start the server of this process's jobs, unless there is one; it ends with this process."""
    global _server
    if SOCKET in os.environ or not hasattr(os, "pidfd_open"):  # Linux 5.3
        return
    folder = tempfile.mkdtemp(prefix="nctransfer-")
    os.environ[SOCKET] = str(Path(folder) / "jobs")
    # a session of its own: Ctrl-C reaches a job through its script
    _server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, start_new_session=True)


def hand_over() -> None:
    """Let a fork of the server run this process's script; does not return if one does."""
    path, script = os.environ.get(SOCKET), sys.modules["__main__"].__dict__.get("__real_file__")
    if path is None or script is None:  # no server, or no script of Snakemake
        return
    request = {
        "where": _where(), "environment": dict(os.environ), "folder": os.getcwd(), "script": str(script),
        "path": sys.path, "bytecode": not sys.dont_write_bytecode,
    }  # fmt: skip
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    except OSError:
        connection.close()
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # the job has just ended
            connection.send(bytes([number]))

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    if _answer(connection) != BEGUN:
        for number, handler in before.items():
            signal.signal(number, handler)
        connection.close()
        return
    _end_as(_answer(connection))


def _answer(connection: socket.socket) -> bytes:
    for _ in range(2):  # before the answer, a job's end may report, once, a signal that it has not read
        with contextlib.suppress(ConnectionError):
            return connection.recv(len(BEGUN))
    return b""


def _end_as(status: bytes) -> None:
    """End this process as its job has ended."""
    if not status:
        sys.stderr.write("the process that started this job has been killed\n")
        sys.exit(1)
    code = int(status)
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other effect
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _where() -> list[str]:
    """The Python and the bounds of this process; a job must not leave those of its script."""
    bounds = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "pid")]
    return [sys.executable, sys.prefix, sys.version, *bounds, Path("/proc/self/cgroup").read_text()]


# --- the server ---------------------------------------------------------------------------------


def serve(path: Path) -> socket.socket | None:
    """Pass requests on to loaded processes, until the process that started this one ends.

    Returns where its requests come from in a new process that is to be loaded; None at the end.
    """
    loaded: Loaded = {}
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with listener, selectors.DefaultSelector() as ready:
        listener.bind(str(path))
        listener.listen(64)
        ready.register(listener, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if any(key.fileobj is sys.stdin for key, _ in ready.select()):
                return None
            connection, _ = listener.accept()
            with connection:
                new = _pass_on(connection, loaded)
            if new is not None:
                return new


def _pass_on(connection: socket.socket, loaded: Loaded) -> socket.socket | None:
    """As :func:`serve` for a request; a connection that is closed tells the script to go on by itself."""
    files: list[int] = []
    try:
        connection.settimeout(5)
        message, files, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
        connection.settimeout(None)
        request = json.loads(message)
        if len(files) != 3 or request["where"] != _where():
            return None
        variables = request["environment"].items()
        environment = tuple(sorted(item for item in variables if not item[0].startswith(IGNORED)))
        sent = [connection.fileno(), *files]
        if environment in loaded:
            try:
                socket.send_fds(loaded[environment], [message], sent)
                return None
            except OSError:  # it has been killed
                loaded.pop(environment).close()
        while len(loaded) >= MOST_LOADED:
            loaded.pop(next(iter(loaded))).close()
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            for other in (here, *loaded.values()):
                other.close()
            os.environ.clear()
            os.environ.update(environment)
            return there
        there.close()
        loaded[environment] = here
        socket.send_fds(here, [message], sent)
    except (OSError, ValueError, LookupError):  # a script that has been killed, or was none
        return None
    finally:
        for file in files:
            os.close(file)
    return None


def load() -> None:
    """Import what jobs need."""
    gc.disable()
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def start_jobs(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork a job for every request and report its end; returns request and files in it, None at the end."""
    jobs: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(requests, selectors.EVENT_READ)
        while len(ready.get_map()):
            for key, _ in ready.select():
                if key.fileobj is requests:
                    message, files, _, _ = socket.recv_fds(requests, MESSAGE_BYTES, 4)
                    if not message:
                        ready.unregister(requests)
                        continue
                    with warnings.catch_warnings():
                        # threads of linear algebra libraries, which prepare for forks themselves
                        warnings.simplefilter("ignore", DeprecationWarning)
                        number = os.fork()
                    if number == 0:
                        requests.close()
                        for other, (_, script) in jobs.items():
                            os.close(other)
                            script.close()
                        return json.loads(message), files
                    for file in files[1:]:
                        os.close(file)
                    connection = socket.socket(fileno=files[0])
                    handle = os.pidfd_open(number)
                    jobs[handle] = number, connection
                    ready.register(handle, selectors.EVENT_READ)
                    _tell(connection, BEGUN)
                else:
                    ready.unregister(key.fileobj)
                    os.close(key.fd)
                    number, connection = jobs.pop(key.fd)
                    _tell(connection, str(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])).encode())
                    connection.close()
    return None


def _tell(connection: socket.socket, message: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # the script has been killed; its job finds out itself
        connection.send(message)


def run(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be the script that is asked for."""
    connection = socket.socket(fileno=files[0])
    for number, file in enumerate(files[1:]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    del os.environ[SOCKET]  # its script runs here
    sys.argv, sys.path[:] = [request["script"]], request["path"]
    sys.dont_write_bytecode = not request["bytecode"]
    random.seed()
    # until the job handles them: there is nothing to clean up yet
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError):  # what `ps` and `top` show
        Path("/proc/self/comm").write_text(Path(request["script"]).name.partition(".")[2][:15])
    threading.Thread(target=_obey, args=(connection,), name="script", daemon=True).start()
    code: object = 1
    try:
        runpy.run_path(request["script"], run_name="__main__")
        code = None
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    # without taking the libraries apart, which takes time and, since they are shared, lists them as leaks
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _obey(connection: socket.socket) -> None:
    """Pass the signals of a job's script to the job, and end with it."""
    while number := _answer(connection):
        os.kill(os.getpid(), number[0])
    from nctransfer.runtime.signals import end_this_process

    end_this_process()


def main() -> None:
    """Serve; in the processes that come of it: be loaded, be a job."""
    sys.path.pop(0)  # this file's folder
    path = Path(os.environ.pop(SOCKET))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # loaded processes that end need no care
    requests = serve(path)
    if requests is None:
        shutil.rmtree(path.parent, ignore_errors=True)
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    load()
    if job := start_jobs(requests):
        run(*job)
    os._exit(0)


if __name__ == "__main__":
    main()
