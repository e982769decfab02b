"""The constants of the cost model: how fast devices compute, and what jobs cost beside arithmetic.

Numbers without another source were fitted to the CPU time of the jobs of the demo (``config/demo.yaml``), one
thread each, on two cores of a server (AMD EPYC). Jobs that have run correct them (``nctransfer.dag.cost``).
"""

from dataclasses import dataclass

from nctransfer.catalog.network_costs import NetworkCosts

MB = 1e6
FLOAT32, FLOAT64 = 4, 8  # bytes


@dataclass(frozen=True)
class Device:
    """A device as the cost model sees it; sustained speeds, not peaks."""

    float32: float  # FLOP/s of networks in float32 (TF32 where there is one)
    bfloat16: float  # FLOP/s of networks in bfloat16
    float64: float  # FLOP/s of matrix products in float64
    decompositions: float  # FLOP/s of decompositions in float64, counted as 20 d^3
    bandwidth: float  # bytes/s
    launch: float  # seconds that a batch needs for a unit of a network at least, for one forward pass
    start: float  # seconds until a job computes: imports, for a GPU its context
    process: float  # MB of host memory of a process with torch before it loads any data

    def passes(self, costs: NetworkCosts, images: int, batch: int, half: bool = False) -> float:
        """Seconds to pass images through a network once, in float32, or in bfloat16 if ``half``.

        Arithmetic and memory traffic are added, as if they never overlapped; the activations kept of an image
        are written and read once. A backward pass takes two such passes.
        """
        traffic = 2 * MB * costs.activations * (0.5 if half else 1)
        image = 2e9 * costs.multiply_adds / (self.bfloat16 if half else self.float32)
        return images * (image + traffic / self.bandwidth) + -(-images // batch) * costs.units * self.launch


# ResNet50 (24.5 GFLOP an image) trains at 367 images/s in float32 on a V100 and at 938 (TF32) and 2,470
# (mixed precision) on an A100: NVIDIA's DeepLearningExamples, PyTorch ResNet50 v1.5, 21.03. An H200 has 3.2
# times an A100's peak arithmetic and 2.4 times its bandwidth (data sheets); half of the first gain and three
# quarters of the second are assumed. A V100 has no fast bfloat16. Float64: a third of the peaks of the data
# sheets (7.8, 19.5 and 67 TFLOP/s); decompositions, launch, start and process are assumptions.
GPUS = {
    "h200": Device(64e12, 190e12, 22e12, 500e9, 2400e9, 2.5e-4, 10, 5_000),
    "a100": Device(40e12, 120e12, 6e12, 200e9, 1400e9, 3e-4, 10, 5_000),
    "v100": Device(11e12, 11e12, 2.5e12, 100e9, 630e9, 4e-4, 10, 5_000),
}  # fmt: skip


def cpu(threads: int) -> Device:
    """A CPU.

    Two cores then extract 69 images/s with MobileNetV2 and 44 with ViT-Ti/16 at 224 px (measured: 83 and 62),
    and the eight fine-tunings of docs/results/beside.md take 0.5 to 2.2 times the seconds measured there.
    """
    return Device(threads * 70e9, threads * 70e9, 20e9, 10e9, threads * 8e9, 0.8e-3, 0.2, 800)


WITHOUT_GPU = 1_000  # MB of a process that loads no network
# Share of the activations that is in memory at once without a backward pass (the first feature maps are the
# largest), and the factor on all activations with one.
INFERENCE_SHARE, BACKWARD = 0.2, 1.75
BLOCK = 32 * 3  # images that a decoding thread has in memory: in preparation and waiting
LISTED = 100  # bytes of the path and the digests of an image that is not stored
COPIES = 2  # of a feature matrix in memory: its map, and a copy of what is Parquet or joined
SCORE_COPIES = 6  # from the measurements of docs/ranking.md: 2.7 and 4.7 GiB

# Cost of a training step in forward passes: a backward pass costs twice a forward one.
TRAINING = 3.0
# Cost of an attack step in training steps: 2/3 by arithmetic (only gradients of the input), plus overhead; a
# training step with an attack of 7 steps then costs 1 + 7 * 0.76 = 6.3.
ATTACK_STEP = 0.76
# Batches that a training evaluates at once, and images that a method without training does.
SCORED_BATCHES, SCORED_IMAGES = 4, 512
MIXTURE = 10_000  # images of the scores that fit a mixture

FETCHED = 5e6  # bytes per second of a download, including verification and unpacking: an assumption
DECODED = 50  # photographs of some megapixels that one thread decodes and resizes per second
UNPACKED = 20_000  # images of one size that are read per second
WRITTEN = 50e6  # bytes per second of features, with checksums
READER = 0.5  # load the library that reads a data set
LOADED = 0.12  # load a model and prepare it
INSPECTED = 0.01  # inspect a unit of a network
UPDATE = 2.2e-3  # of a training step beside its passes: the optimiser, the order, the loss
COLUMN = 0.007  # open or write one stored feature of a split
# All metrics of a feature for one labelling, beside their products: seconds, and seconds per image.
MEASURED, MEASURED_EACH = 0.002, 2.5e-6
PROBE_STEP = 2e-4  # step of the probes of all units
EVALUATIONS = 40  # of the objective until L-BFGS ends
EPISODE = 0.005  # few-shot episode: a logistic regression and the NC1 of its queries
# All scores of a feature: seconds, seconds per image, width and class, and FLOP/s of the rest. Measured on
# two cores with d = 2,048 (docs/ranking.md): 42 s (N = 20,000, K = 397) and 106 s (50,000 and 1,000; 10,000
# in the mixture).
SCORES, SCORES_EACH, SCORED_FLOPS = 0.22, 4e-9, 20e9
# Rules that only read tables.
FIXED = {"figure": 2.0, "table": 0.6, "ranking": 5.0, "chance": 60.0, "scorecard": 2.0}
PICTURE = 0.2  # MB of a figure or table in all its forms
