"""Assumed speeds of devices, on which every requested runtime is based."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device as the estimates see it."""

    flops: float  # sustained floating-point operations per second
    bandwidth: float  # sustained bytes per second
    launch: float  # minimum seconds for one pass of a batch through a network

    def passes(self, multiply_adds: float, activations: float, images: int, batch: int) -> float:
        """Seconds to pass images through a network once.

        Arithmetic and memory traffic are added, as if they never overlapped; the activations kept of an image
        are written and read once. A backward pass takes two such passes. Multiply-adds (billions) and
        activations (MB) are per image.
        """
        image = 2e9 * multiply_adds / self.flops + 2e6 * activations / self.bandwidth
        return max(images * image, -(-images // batch) * self.launch)


# A GPU of 2017 (V100): it trains ResNet50 at about 380 images/s in float32 (NVIDIA's DeepLearningExamples),
# 24.5 GFLOP each; less than half of its 900 GB/s. Networks for small images are limited by kernel launches.
GPU = Device(flops=10e12, bandwidth=400e9, launch=0.01)


def cpu(threads: int) -> Device:
    """A CPU, about 25 (8 threads) to 200 times (one) slower than the GPU.

    One core reached 25 (MobileNetV2) to 110 (ViT-Ti) GFLOP/s in the runs of docs/real-input.md.
    """
    return Device(flops=threads * 50e9, bandwidth=threads * 5e9, launch=0.01)
