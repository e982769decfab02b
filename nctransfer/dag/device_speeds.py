"""How fast a device is taken to be: what stands behind every runtime that a job asks for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device as estimates see it.

    Attributes:
        flops: floating-point operations a second that networks sustain.
        bandwidth: bytes a second that they sustain.
        launch: least seconds of one pass of a batch through a network.
    """

    flops: float
    bandwidth: float
    launch: float

    def passes(self, multiply_adds: float, activations: float, images: int, batch: int) -> float:
        """Seconds that images take through a network once.

        Arithmetic and memory traffic are added, as if they never overlapped; what is kept of an image is
        written and read once. A backward pass takes two such passes.

        Args:
            multiply_adds: of an image, in billions.
            activations: of an image, in MB.
            images: their number.
            batch: images at a time.
        """
        image = 2e9 * multiply_adds / self.flops + 2e6 * activations / self.bandwidth
        return max(images * image, -(-images // batch) * self.launch)


# A GPU of 2017 (V100): ResNet50 trains there at about 380 images/s in float32 (NVIDIA's
# DeepLearningExamples), 24.5 GFLOP each; less than half of its 900 GB/s. Networks for small images are
# bound by the launch of their kernels.
GPU = Device(flops=10e12, bandwidth=400e9, launch=0.01)


def cpu(threads: int) -> Device:
    """A CPU, some 25 (8 threads) to 200 times (one) slower than the GPU.

    One core did 25 (MobileNetV2) to 110 (ViT-Ti) GFLOP/s in the runs of docs/real-input.md.
    """
    return Device(flops=threads * 50e9, bandwidth=threads * 5e9, launch=0.01)
