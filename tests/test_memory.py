"""Peak memory of metrics and probes on features that stay in their memory map."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

SAMPLES, WIDTH, CLASSES = 100_000, 1024, 20
FILE_MB = SAMPLES * WIDTH * 4 / 1e6

PRELUDE = """
import sys, threading, time
import numpy as np, psutil, torch
from nctransfer.collapse.measure import measure, measure_classifier
from nctransfer.probing.probes import score, train_probes
from nctransfer.probing.settings import ProbeSettings

torch.set_num_threads(1)
features = np.load(sys.argv[1], mmap_mode="r")
labels = np.arange(len(features)) % {classes}
process, peak, done = psutil.Process(), 0, False

def own():
    told = process.memory_info()
    return told.rss - told.shared  # without the pages of the map, which the system may drop

def watch():
    global peak
    while not done:
        peak = max(peak, own())
        time.sleep(0.005)

measure(features[:500], labels[:500])  # what a first call loads is not counted
train_probes({{"unit": features[:500]}}, labels[:500], [ProbeSettings(epochs=1)])
before = own()
watcher = threading.Thread(target=watch)
watcher.start()
{work}
done = True
watcher.join()
print((peak - before) / 1e6)
"""

SOLVER = """
settings = ProbeSettings(solver="{solver}", epochs=1)
units = {{"unit": features}}
score(train_probes(units, labels, [settings]), units, labels)
"""


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "unit.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (SAMPLES, WIDTH))
    random, means = np.random.default_rng(0), np.random.default_rng(1).random((CLASSES, WIDTH))
    for start in range(0, SAMPLES, 10_000):
        rows = np.arange(start, start + 10_000)
        array[rows] = random.standard_normal((len(rows), WIDTH), np.float32) + means[rows % CLASSES]
    array.flush()
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        "measure(features, labels)",
        "measure_classifier(features, labels, np.ones((20, 1024)), np.zeros(20))",
        SOLVER.format(solver="lbfgs"),
        SOLVER.format(solver="sgd"),
    ],
    ids=["metrics", "classifier metrics", "lbfgs", "sgd"],
)
def test_features_stay_in_their_map(features: Path, work: str) -> None:
    """A copy of the features would take the size of the file."""
    script = PRELUDE.format(classes=CLASSES, work=textwrap.dedent(work))
    run = subprocess.run([sys.executable, "-c", script, features], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 0.7 * FILE_MB
