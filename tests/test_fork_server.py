"""Jobs as forks of a loaded process: they begin, are stopped and end as a script that runs by itself."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nctransfer.runtime import fork_server

SERVER = Path(fork_server.__file__)
# The server, loading one small module instead of the libraries.
QUICK = f"""
import importlib.util, sys
specification = importlib.util.spec_from_file_location("server", {str(SERVER)!r})
server = importlib.util.module_from_spec(specification)
specification.loader.exec_module(server)
server.LIBRARIES = ("colorsys", "no_such_library")
sys.path.insert(0, "")
server.main()
"""
# What Snakemake and nctransfer.runtime.job do before a script's own lines.
BEGINNING = f"""
import sys
__real_file__, __file__ = __file__, "workflow/scripts/metrics.py"
sys.path.append({str(SERVER.parents[2])!r})
from nctransfer.runtime import fork_server, signals
fork_server.hand_over()
signals.stop_in_order()
import os, time
from pathlib import Path
"""


@pytest.fixture
def server(tmp_path):
    """The environment of scripts whose server runs."""
    environment = os.environ | {fork_server.SOCKET: str(tmp_path / "s" / "jobs")}
    (tmp_path / "s").mkdir()
    command = [sys.executable, "-c", QUICK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True) as process:
        while not (tmp_path / "s" / "jobs").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield environment | {"SERVER": str(process.pid)}
        process.stdin.close()
        process.wait(10)
    assert not (tmp_path / "s").exists()


def script(folder: Path, text: str, environment: dict[str, str]) -> subprocess.Popen:
    path = folder / "tmp1.metrics.py"
    path.write_text(BEGINNING + text)
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(folder: Path, text: str, environment: dict[str, str]) -> tuple[int, str, str]:
    process = script(folder, text, environment)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


LOADED = (
    "print('colorsys' in sys.modules, os.getcwd(), sys.argv[0], Path(sys.modules['__main__'].__file__).name)"
)


def test_a_job_has_the_libraries_loaded_and_is_its_script(tmp_path, server):
    expected = f"{tmp_path} {tmp_path / 'tmp1.metrics.py'} metrics.py\n"
    assert result(tmp_path, LOADED, server) == (0, f"True {expected}", "")
    # by itself: without a server, with one that has gone, and where the server is not
    alone = {name: value for name, value in server.items() if name != fork_server.SOCKET}
    for environment in (alone, server | {fork_server.SOCKET: "/no/such/socket"}):
        assert result(tmp_path, LOADED, environment) == (0, f"False {expected}", "")


def test_another_python_or_allocation_is_not_the_servers(tmp_path, server):
    elsewhere = "fork_server._where = lambda: ['elsewhere']\nfork_server.hand_over()\n"
    path = BEGINNING.replace("fork_server.hand_over()\n", elsewhere)
    (tmp_path / "other.metrics.py").write_text(path + LOADED)
    done = subprocess.run(
        [sys.executable, "other.metrics.py"],
        cwd=tmp_path,
        env=server,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("False")


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit('one message')", 1, "one message\n"),
        ("sys.exit()", 0, ""),
        ("import atexit; atexit.register(print, 'last', file=sys.stderr)", 0, "last\n"),
        ("raise ValueError('broken')", 1, "ValueError: broken\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("os._exit(0)", 0, ""),
    ],
)
def test_a_script_ends_as_its_job(tmp_path, server, text, status, message):
    code, _, err = result(tmp_path, text, server)
    assert code == status
    assert err.endswith(message) if message else not err


def test_jobs_with_one_environment_share_a_loaded_process(tmp_path, server):
    parent = "print(os.getppid(), os.environ.get('OMP_NUM_THREADS'))"
    many = [server | {"OMP_NUM_THREADS": str(number)} for number in (1, 2, 1, 2, 3, 4, 4, 1)]
    parents = [result(tmp_path, parent, environment)[1].split() for environment in many]
    assert [threads for _, threads in parents] == ["1", "2", "1", "2", "3", "4", "4", "1"]
    loaded = [process for process, _ in parents]
    assert loaded[0] == loaded[2]
    assert loaded[1] == loaded[3]
    assert loaded[5] == loaded[6]
    assert len(set(loaded)) == 5  # the first one has made room for the fourth
    assert len(psutil.Process(int(server["SERVER"])).children()) == fork_server.MOST_LOADED


WAIT = "try:\n    print(os.getpid(), flush=True)\n    time.sleep(60)\nfinally:\n    Path('end').touch()"


def begun(
    folder: Path, environment: dict[str, str], text: str = WAIT
) -> tuple[subprocess.Popen, psutil.Process]:
    process = script(folder, text, environment)
    return process, psutil.Process(int(process.stdout.readline()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_job_once(tmp_path, server, number):
    process, job = begun(tmp_path, server)
    # a scheduler may tell both
    job.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert (tmp_path / "end").exists()


def test_a_signal_that_came_too_late_does_not_hide_how_the_job_ended():
    script, job = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with script:
        script.send(bytes([signal.SIGINT]))
        job.send(b"0")
        job.close()
        assert fork_server._answer(script) == b"0"
        assert fork_server._answer(script) == b""


def test_a_job_ends_with_its_script(tmp_path, server):
    process, job = begun(tmp_path, server)
    process.kill()
    job.wait(10)
    assert (tmp_path / "end").exists()  # in order


def test_a_script_ends_with_its_job(tmp_path, server):
    process, job = begun(tmp_path, server)
    job.kill()
    process.wait(10)
    assert process.returncode == -signal.SIGKILL


def test_a_job_outlives_a_loaded_process_that_is_killed_but_counts_as_failed(tmp_path, server):
    process, job = begun(tmp_path, server, WAIT.replace("60", "1"))
    job.parent().kill()
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert err == "the process that started this job has been killed\n"
    assert (tmp_path / "end").exists()
    # the next one gets another
    assert result(tmp_path, LOADED, server)[1].startswith("True")


def test_jobs_run_side_by_side(tmp_path, server):
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(begun(tmp_path / name, server))
    assert len({job.ppid() for _, job in both}) == 1
    for process, _ in both:
        process.terminate()
        process.wait(10)


def test_the_processes_end_with_the_run(tmp_path):
    """A run that is killed leaves no server, and its jobs stop in order."""
    run = f"""
import os, subprocess, sys, time
sys.path.append({str(SERVER.parents[2])!r})
from nctransfer.runtime import fork_server
fork_server.LIBRARIES = ()
fork_server.start()
print(fork_server._server.pid, os.environ[fork_server.SOCKET], flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True) as process:
        number, path = process.stdout.readline().split()
        server = psutil.Process(int(number))
        assert Path(path).parent.stat().st_mode & 0o077 == 0
        process.kill()
    server.wait(10)
    assert not Path(path).parent.exists()
