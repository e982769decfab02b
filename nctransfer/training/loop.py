"""Training by SGD with momentum and a cosine schedule, with images on the device.

Source: Appendix E of the paper. Images are uint8 on the device and augmented there batch by batch, so that
the cost of a step is that of the network. All randomness of an epoch (order, augmentation, start of the
attack) is a function of seed, epoch and sample: a run that continues from a checkpoint, between any two
steps, ends exactly like one that was never interrupted.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nctransfer.data.keyed_random import Stream, generator, sample_keys, stream_seed
from nctransfer.errors import StoppedError, TrainingError
from nctransfer.training.checkpoints import Checkpoints
from nctransfer.training.evaluation import Shown, evaluate
from nctransfer.training.history import HistoryRow, Log
from nctransfer.training.learning_rate_schedule import learning_rate
from nctransfer.training.objective import Objective
from nctransfer.training.pgd_attack import Adversary
from nctransfer.training.settings import LoopSettings
from nctransfer.training.stop_signals import StopRequest

logger = logging.getLogger(__name__)

CHECKED_EVERY = 100  # steps between two checks of the loss, each of which waits for the device
# Numbers augmented at once, which is many batches of small images: a GPU takes longer to start the operations
# of one batch of CIFAR than to run them. On the CPU no result depends on it.
AUGMENTED_AT_ONCE = 2**24


@dataclass(frozen=True)
class Data:
    """Both splits, with labels on the device, and the seed of all randomness."""

    train: Shown
    test: Shown
    seed: int


def memory_format(settings: LoopSettings, device: torch.device) -> torch.memory_format:
    """Memory layout of images and convolutions."""
    # on the CPU, torch 2.15 crashes in narrow channels-last networks with 3, 5 or 6 threads
    last = settings.channels_last and device.type == "cuda"
    return torch.channels_last if last else torch.contiguous_format


class Training:
    """One training in progress.

    ``network`` takes what the splits provide, for example pixels in [0, 1]; parameters with ``requires_grad``
    are trained in place. ``weights`` returns the weights for a snapshot, ``advice`` is the remedy in the
    message when the training diverges.

    Raises:
        TrainingError: the training split has fewer than two images.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        data: Data,
        settings: LoopSettings,
        checkpoints: Checkpoints,
        weights: Callable[[], Mapping[str, Tensor]],
        advice: str = "lower training.learning_rate or set training.warmup_epochs",
    ) -> None:
        if len(data.train) < 2:
            raise TrainingError(f"training needs at least 2 images; the training split has {len(data.train)}")
        self.network, self.objective, self.data, self.settings = network, objective, data, settings
        self.checkpoints, self._weights, self._advice = checkpoints, weights, advice
        self.adversary = None if settings.adversary is None else Adversary.from_settings(settings.adversary)
        self.optimiser = torch.optim.SGD(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self._layout = memory_format(settings, self.device)
        network.to(memory_format=self._layout)
        self._compiled = cast(nn.Module, torch.compile(network)) if settings.compile else network
        # one sample has no variance for batch normalisation: a last batch of one sample is left out
        size = settings.batch_size
        self.steps = len(data.train) // size + (len(data.train) % size > 1)
        self.epoch, self.step = 0, 0
        self.rows: list[HistoryRow] = []
        self._begin_epoch()

    @property
    def device(self) -> torch.device:
        """Device of the data and the network."""
        return self.data.train.labels.device

    def run(self, stop: StopRequest, log: Log | None = None) -> pd.DataFrame:
        """Train to the end, from the newest undamaged checkpoint, if any; TrainingError if it diverges.

        Checks ``stop`` after every step (StoppedError), and calls ``log`` with the history rows of each
        epoch. With no epochs the network is only tested. Returns the history, one row per ``HistoryRow``;
        those of the training split are measured during training.
        """
        self._resume()
        epochs, total = self.settings.epochs, self.settings.epochs * self.steps
        if not epochs:  # an untrained network: its history is its test
            tests = self._evaluations().items()
            self.rows = [HistoryRow(0, 0, "test", images, 0.0, **scores) for images, scores in tests]
        completed = self.epoch * self.steps + self.step
        with tqdm(total=total, initial=completed, unit="step", disable=None, mininterval=1) as bar:
            while self.epoch < epochs:
                self._run_epoch(stop, bar)
                if log is not None:
                    log([row for row in self.rows if row.epoch == self.epoch])
        return pd.DataFrame(self.rows)

    # --- an epoch ---------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        self._losses = torch.zeros(self.steps, device=self.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self._scored = self.objective.ready
        # random numbers of the network's layers (dropout) also follow from seed and epoch
        torch.manual_seed(stream_seed(self.data.seed, Stream.LAYERS, self.epoch))

    def _run_epoch(self, stop: StopRequest, bar: Any) -> None:
        self.network.train()
        batches = self._batches(self._order())
        while self.step < self.steps:
            for group in self.optimiser.param_groups:
                group["lr"] = self._rate(self.step)
            self._losses[self.step] = self._take_step(*next(batches))
            self.step += 1
            bar.update()
            if stop.name is not None:
                self._stop(stop.name)
            if self.step % CHECKED_EVERY == 0:
                self._refuse_divergence()
            if self.checkpoints.due():
                self._save()
        self._refuse_divergence()
        self._refuse_broken_weights()
        self.objective.end_epoch()
        self._record()
        self.epoch, self.step = self.epoch + 1, 0
        if self.epoch in self.settings.snapshots:
            self.checkpoints.snapshot(self.epoch, self._weights())
        self._begin_epoch()
        if self.checkpoints.due_after_epoch():
            self._save()

    def _order(self) -> Tensor:
        """Order of the samples in this epoch; drawn on the CPU, so that it is the same on all devices."""
        draw = generator(self.data.seed, Stream.ORDER, self.epoch)
        return torch.randperm(len(self.data.train), generator=draw).to(self.device)

    def _rate(self, step: int) -> float:
        return learning_rate(self.settings, self.epoch, step, self.steps)

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Augmented pixels, labels and keys of the remaining batches, with concatenated views."""
        split, size, views = self.data.train, self.settings.batch_size, range(self.objective.views)
        chunk = max(1, AUGMENTED_AT_ONCE // (size * len(views) * split.numbers)) * size
        for rows in order[self.step * size : self.steps * size].split(chunk):
            keys = [sample_keys(self.data.seed, self.epoch, rows, view) for view in views]
            pixels = [split.augmented(rows, key) for key in keys]
            labels = split.labels[rows]
            for batch in range(0, len(rows), size):
                part = slice(batch, batch + size)
                inputs = pixels[0][part] if len(pixels) == 1 else torch.cat([view[part] for view in pixels])
                if inputs.ndim == 4:
                    inputs = inputs.contiguous(memory_format=self._layout)
                yield inputs, labels[part].repeat(len(views)), torch.cat([key[part] for key in keys])

    def _take_step(self, pixels: Tensor, labels: Tensor, keys: Tensor) -> Tensor:
        """One update; returns the mean loss of the batch, on the device."""
        objective = self.objective
        with self.autocast():
            if self.adversary is not None:
                pixels = self.adversary.attack(self._compiled, objective, pixels, labels, keys)
            outputs = self._compiled(pixels)
        loss: Tensor = objective(outputs, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        # stays on the device, which reading a number in every step would stall
        outputs = outputs.detach()
        if self._scored:
            self._correct += (objective.predict(outputs) == labels).sum()
        objective.observe(outputs, labels)
        return loss.detach()

    def autocast(self) -> torch.autocast:
        """The arithmetic of the forward pass in the settings."""
        half = self.settings.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def _record(self) -> None:
        """Add the rows of the completed epoch to the history."""
        size, samples = self.settings.batch_size, len(self.data.train)
        sizes = torch.full((self.steps,), float(size), dtype=torch.float64)
        sizes[-1] = min(size, samples - size * (self.steps - 1))
        images = float(sizes.sum())
        loss = float(self._losses.double().cpu() @ sizes) / images
        share = float(self._correct) / (images * self.objective.views) if self._scored else math.nan
        shown = "augmented" if self.adversary is None else "adversarial"
        tests = self._evaluations()
        if tests and self.objective.classifies and not math.isfinite(tests["clean"]["loss"]):
            raise self._divergence(f"the loss on test images is {tests['clean']['loss']}", self.steps - 1)
        epoch, rate = self.epoch + 1, self._rate(self.steps - 1)
        steps = epoch * self.steps
        rows = [HistoryRow(epoch, steps, "train", shown, rate, loss, 100 * share)]
        rows += [HistoryRow(epoch, steps, "test", images, rate, **scores) for images, scores in tests.items()]
        self.rows += rows
        self.checkpoints.write_history(self.rows)
        for row in rows:
            logger.info(
                "epoch %d: %s, %s images: loss %.4f, accuracy %.2f %%",
                row.epoch, row.split, row.images, row.loss, row.accuracy,
            )  # fmt: skip

    def on_clean_training_images(self) -> HistoryRow:
        """Loss and accuracy of the finished network on the training split, without augmentation or attack."""
        with self.autocast():
            scores = evaluate(
                self.network, self.objective, self.data.train, batch_size=4 * self.settings.batch_size
            )
        row = HistoryRow(self.epoch, self.epoch * self.steps, "train", "clean", 0.0, **scores)
        logger.info("finished: train, clean images: loss %.4f, accuracy %.2f %%", row.loss, row.accuracy)
        return row

    def _evaluations(self) -> dict[str, dict[str, float]]:
        """Loss and accuracy on the test split, by kind of images; empty in epochs without evaluation."""
        arguments = self.network, self.objective, self.data.test
        size, epoch, last = self.settings.batch_size, self.epoch + 1, self.settings.epochs
        if epoch % self.settings.evaluate_every and epoch != last:
            return {}
        with self.autocast():
            scores = {"clean": evaluate(*arguments, batch_size=4 * size)}  # without gradients
            if self.adversary is not None and self.settings.adversary is not None:
                every = self.settings.adversary.evaluate_every
                if epoch % every == 0 or epoch == last:
                    attack = self.adversary, self.data.seed
                    scores["adversarial"] = evaluate(*arguments, batch_size=size, attack=attack)
        return scores

    # --- stopping and resuming -----------------------------------------------------------

    def _refuse_divergence(self) -> None:
        """Raise TrainingError where a loss of this epoch is not finite."""
        wrong = (~torch.isfinite(self._losses[: self.step])).nonzero()
        if not len(wrong):
            return
        step = int(wrong[0])
        raise self._divergence(f"the loss is {float(self._losses[step])}", step)

    def _refuse_broken_weights(self) -> None:
        """Raise TrainingError where the weights are not finite after the last update."""
        floating = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        if not bool(torch.stack([torch.isfinite(value).all() for value in floating]).all()):
            raise self._divergence("the weights are not finite", max(self.step - 1, 0))

    def _divergence(self, symptom: str, step: int) -> TrainingError:
        checkpoint = self.checkpoints.newest()
        kept = (
            f"the last good checkpoint is kept: {checkpoint}"
            if checkpoint
            else "no checkpoint was written yet"
        )
        return TrainingError(
            f"{symptom} in epoch {self.epoch + 1}, step {step + 1} of {self.steps}, at learning rate "
            f"{self._rate(step):.4g}; {self._advice} ({kept})"
        )

    def _stop(self, signal: str) -> None:
        self._save()
        raise StoppedError(
            f"stopped by {signal} in epoch {self.epoch + 1}, after step {self.step} of {self.steps}; a "
            "checkpoint is written, from which the same command continues",
            signal,
        )

    def _save(self) -> None:
        """Write a checkpoint, or raise TrainingError for non-finite values."""
        self._refuse_divergence()
        self._refuse_broken_weights()
        random = [torch.get_rng_state()]  # of torch's generators, used by layers such as dropout
        if self.device.type == "cuda":
            random.append(torch.cuda.get_rng_state(self.device))
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "rows": [asdict(row) for row in self.rows],
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state_dict(),
            "losses": self._losses,
            "correct": self._correct,
            "scored": self._scored,
            "random": random,
            "surroundings": self._surroundings(),
        }
        self.checkpoints.save(self.epoch, self.step, state)

    def _resume(self) -> None:
        state = self.checkpoints.load()
        if state is None:
            return
        self.epoch, self.step = state["epoch"], state["step"]
        self.rows = [HistoryRow(**row) for row in state["rows"]]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.objective.load_state_dict(state["objective"])
        self._losses.copy_(state["losses"])
        self._correct.copy_(state["correct"])
        self._scored = state["scored"]
        torch.set_rng_state(state["random"][0])
        if self.device.type == "cuda" and len(state["random"]) > 1:
            torch.cuda.set_rng_state(state["random"][1], self.device)
        if state["surroundings"] != self._surroundings():
            places = self._surroundings(), state["surroundings"]
            logger.warning(
                "continues on %s what was started on %s: the last bits of its results may differ", *places
            )
        logger.info("continues after epoch %d, step %d", self.epoch, self.step)

    def _surroundings(self) -> str:
        """The conditions on which the last bits of sums depend."""
        return f"{self.device.type}, {torch.get_num_threads()} threads, torch {torch.__version__}"
