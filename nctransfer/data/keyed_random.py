"""Random numbers that are a pure function of a seed and a purpose.

The numbers of a generator depend on the order in which they are drawn, hence on the batch layout and the
device. Here number i of a stream of a sample is splitmix64 (Steele, Lea & Flood 2014) at that position, in
wrapping 64-bit integer arithmetic, which is the same on every device: a resumed run, another batch size or a
GPU gets the same numbers. Where a library draws in an order of its own (initial weights, dropout, shuffles),
each purpose has a generator of its own.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import torch
from torch import Tensor

_WORD = 2**64
_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_PURPOSES = 2**32  # above every epoch: no seed of a generator is the state from which keys of samples follow
_BITS = 24  # of a float32's mantissa, the hidden one included


class Stream(IntEnum):
    """Purpose of the numbers; a new purpose takes a new value, so that the other numbers do not change."""

    CROP = 0
    FLIP = 1
    JITTER = 2
    JITTER_ORDER = 3
    JITTER_FACTORS = 4
    GRAYSCALE = 5
    ATTACK = 6
    TEST_ATTACK = 7
    ORDER = 8  # of the samples in an epoch
    LAYERS = 9  # dropout and the like
    NETWORK = 10  # initial weights of a source model
    CLASSIFIER = 11  # initial weights of a downstream classifier
    ADAPTERS = 12  # initial values of LoRA's A
    PROBE = 13  # initial weights of a linear probe
    SUBSAMPLE = 14  # images that are scored
    LABELS = 15  # shuffled labels
    MIXTURE = 16  # start of a mixture of Gaussians
    TEST_IMAGES = 17  # draw from a test split
    RESIZED_CROP = 18


def stream_seed(seed: int, stream: Stream, *places: int | str) -> int:
    """Seed, from 0 to 2^63 - 1, of a generator for one purpose and, within it, an epoch or a unit's name."""
    state = _splitmix(_splitmix(0, seed), _PURPOSES + stream)
    for place in places:
        if isinstance(place, str):
            place = int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "big")
        state = _splitmix(state, place)
    return state >> 1


def generator(seed: int, stream: Stream, *places: int | str) -> torch.Generator:
    """A generator on the CPU with the seed of :func:`stream_seed`."""
    return torch.Generator().manual_seed(stream_seed(seed, stream, *places))


@contextmanager
def default_generator(seed: int, stream: Stream) -> Iterator[None]:
    """Seed torch's own generator on the CPU by :func:`stream_seed`, and restore its state at the end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, stream))
        yield


def sample_keys(seed: int, epoch: int, samples: Tensor, view: int = 0) -> Tensor:
    """Keys of samples, shape (B,), int64, on their device; different in each epoch and each augmented view.

    ``samples`` are positions in the data set, shape (B,), integers; ``view`` is the number of the augmented
    view.
    """
    state = 0
    for number in (seed, epoch, view):
        state = _splitmix(state, number)
    return _mix(samples.to(torch.int64).add(1).mul_(_signed(_GAMMA)).add_(_signed(state)))


def uniform(keys: Tensor, stream: int, *shape: int) -> Tensor:
    """Uniform multiples of 2^-24 in [0, 1), (B, *shape) float32, by keys (B,) int64 and stream."""
    start = _mix(keys + _signed(_GAMMA * (stream + 1)))
    places = torch.arange(1, math.prod(shape) + 1, device=keys.device).mul_(_signed(_GAMMA))
    words = _mix(start.unsqueeze(1) + places)
    return _shift(words, 64 - _BITS).to(torch.float32).mul_(2.0**-_BITS).view(len(keys), *shape)


def _splitmix(state: int, number: int) -> int:
    """Output ``number`` (from 0) of the splitmix64 generator that starts at ``state``."""
    word = (state + _GAMMA * (number + 1)) % _WORD
    for shift, multiplier in _MULTIPLIERS:
        word = (word ^ (word >> shift)) * multiplier % _WORD
    return word ^ (word >> _LAST_SHIFT)


def _mix(words: Tensor) -> Tensor:
    """The finaliser of splitmix64; int64 represents the 64 bits."""
    for shift, multiplier in _MULTIPLIERS:
        words = (words ^ _shift(words, shift)).mul_(_signed(multiplier))
    return words ^ _shift(words, _LAST_SHIFT)


def _shift(words: Tensor, places: int) -> Tensor:
    """Logical shift to the right (torch's shift of a negative int64 fills with ones)."""
    return (words >> places).bitwise_and_(2 ** (64 - places) - 1)


def _signed(word: int) -> int:
    """The int64 with the same 64 bits."""
    return (word + _WORD // 2) % _WORD - _WORD // 2
