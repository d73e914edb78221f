"""One objective's share of a step: gradients over all parts of the batch, a look at them where trouble was met before, clipping, the optimisers.

Gradients and update are two calls, since what fails in the first can be made again: it changes nothing but gradients, running statistics and the random
generators, and puts them back.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from thuja.core.errors import TrainError
from thuja.settings import Train
from thuja.task import Batch, Objective
from thuja.training.optimizers import Optimizer

OUT_OF_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "std::bad_alloc")
"""What PyTorch says on a CPU, where its error has no class of its own."""


class Update:
    """What of an objective does not change from step to step, looked up once."""

    def __init__(self, objective: Objective, optimizers: list[Optimizer], model: nn.Module, train: Train) -> None:
        self.objective, self.optimizers, self.clip = objective, optimizers, train.clip
        wanting = {id(p) for p in model.parameters() if p.requires_grad}
        moved = {id(p) for p in objective.parameters}
        self.inputs = None if wanting <= moved else objective.parameters
        """Where gradients may land; None where there is nothing else that wants one, which is quicker."""
        self.buffers = list(model.buffers())
        self.kept = [b.clone() for b in self.buffers]
        device = torch.device(train.device)
        self.precision: AbstractContextManager[object] = torch.autocast(device.type, torch.bfloat16) if train.precision == "bfloat16" else nullcontext()
        self.generators = [torch.default_generator]
        if device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            self.generators.append(torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index])

    def gradients(self, batch: Batch, rng: torch.Generator, parts: int) -> tuple[dict[str, Tensor], int]:
        """The losses (means over all rows), with the gradients of the whole batch left in the parameters; and into how many parts it was cut.

        Where memory does not suffice, the same is done again, from the same random numbers, in twice as many parts.
        Raises: TrainError when it does not suffice for a single row.
        """
        generators = [*self.generators, rng]
        random = [generator.get_state() for generator in generators]
        if self.buffers:
            torch._foreach_copy_(self.kept, self.buffers)
        while True:
            try:
                return self._gradients(batch, rng, parts), parts
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                found = str(error).splitlines()[0] if str(error) else type(error).__name__
            # Out of the handler, the error is gone, and with it what its frames held: the activations.
            rows = len(next(iter(batch.values())))
            if parts >= rows:
                raise TrainError("train: memory", expected="room for the network and one row", found=found, fix="Use a smaller network, or more memory.")
            parts = min(2 * parts, rows)
            self.undo()
            for generator, before in zip(generators, random, strict=True):
                generator.set_state(before)
            if batch_device(batch).type == "cuda":
                torch.cuda.empty_cache()

    def _gradients(self, batch: Batch, rng: torch.Generator, parts: int) -> dict[str, Tensor]:
        self._clear()
        if parts == 1:
            with self.precision:
                loss = self.objective.loss(batch, rng)
            loss.total.backward(inputs=self.inputs)  # type: ignore[no-untyped-call]
            losses = {self.objective.name: loss.total.detach()}
            for name, value in loss.parts.items():
                losses[name] = value.detach()
            return losses
        losses = {}
        for part, share in cut(batch, parts):
            with self.precision:
                loss = self.objective.loss(part, rng)
            (loss.total * share).backward(inputs=self.inputs)  # type: ignore[no-untyped-call]
            for name, value in {self.objective.name: loss.total, **loss.parts}.items():
                losses[name] = value.detach() * share + losses.get(name, 0)
        return losses

    def apply(self, rate: float) -> None:
        """Move the parameters by their gradients; `rate` scales the peak learning rates."""
        if self.clip:
            nn.utils.clip_grad_norm_(self.objective.parameters, self.clip, foreach=True)
        for optimizer in self.optimizers:
            optimizer.step(rate)

    def undo(self) -> None:
        """Forget the gradients; running statistics are again what they were before them."""
        self._clear()
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.kept)

    def _clear(self) -> None:
        for p in self.objective.parameters:
            p.grad = None

    def finite(self, losses: dict[str, Tensor]) -> bool:
        """Whether these losses and all gradients are numbers. Waits for the device."""
        return all_finite([*losses.values(), *(p.grad for p in self.objective.parameters if p.grad is not None)])


def all_finite(tensors: list[Tensor]) -> bool:
    """Whether there is no infinity and no NaN in any of them; one wait for the device."""
    sized = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not sized:
        return True
    largest = torch._foreach_norm([t.detach() for t in sized], ord=float("inf"))
    return bool(torch.stack([value.float() for value in largest]).isfinite().all())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def batch_device(batch: Batch) -> torch.device:
    """Where a batch lies."""
    return next(iter(batch.values())).device


def cut(batch: Batch, parts: int) -> Iterator[tuple[Batch, float]]:
    """The batch in so many parts by rows (at least a row each), with each one's share of the rows: losses are means, so these make the sum equal the whole."""
    rows = len(next(iter(batch.values())))
    split = {name: tensor.tensor_split(min(parts, rows)) for name, tensor in batch.items()}
    for place in range(min(parts, rows)):
        part = {name: pieces[place] for name, pieces in split.items()}
        yield part, len(next(iter(part.values()))) / rows
