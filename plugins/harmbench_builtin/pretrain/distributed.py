"""Several processes as one training. `torchrun` says who is who in environment variables; without them there is one.

Nothing else in the package knows how many processes there are: it asks `World` for sums and for who writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harmbench.errors import HarmbenchError, UsageError

_PATIENCE = timedelta(hours=2)
"""How long the others wait while the first process reads the images."""

_LOST = ("gloo", "Connection closed by peer", "Connection reset by peer")
"""In the messages of what is raised when another process does not answer any more."""


@dataclass(frozen=True)
class World:
    """The processes of one training, seen from one of them.

    Parameters
    ----------
    rank, size : int
        This process among all.
    local_rank : int
        This process among those of its machine: the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes (changed in place)."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def first_does(self, work: Callable[[], None]) -> None:
        """The first process does `work` while the others wait; if it fails, all fail with its message."""
        failure: list[str | None] = [None]
        try:
            if self.first:
                work()
        except Exception as error:
            failure = [str(error)]
            raise
        finally:
            if self.size > 1:
                dist.broadcast_object_list(failure)
        if failure[0] is not None:
            raise HarmbenchError(f"The first process failed: {failure[0]}")

    def parallel(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with gradients averaged over processes; itself when there is one process."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(
            module,
            device_ids=[device.index] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )


def launched() -> World:
    """The processes as `torchrun` describes them, whether they are connected yet or not."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return World()
    return World(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
    )


@contextmanager
def connected(device: str) -> Iterator[World]:
    """Connect the processes that `torchrun` started, and disconnect them in the end.

    Inside another `connected` this is that one. Without `torchrun`'s variables no process group is made.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        With a GPU the processes talk by NCCL, otherwise by Gloo.

    Raises
    ------
    UsageError
        When a machine has fewer GPUs than processes.
    HarmbenchError
        When another process ended without a word (killed, out of memory).
    """
    world = launched()
    if world.size == 1 or dist.is_initialized():
        yield world
        return
    if not dist.is_available():
        raise UsageError("torchrun started several processes, but this torch is built without torch.distributed.")
    backend = "gloo"
    if device != "cpu" and torch.cuda.is_available():
        count = torch.cuda.device_count()
        if world.local_rank >= count:
            raise UsageError(
                f"torchrun started process {world.local_rank + 1} on a machine with {count} GPU(s). "
                f"Start at most {count} with --nproc-per-node, or train with --set device=cpu."
            )
        torch.cuda.set_device(world.local_rank)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield world
    except RuntimeError as error:
        # Gloo has no type of its own for this; NCCL's errors are a RuntimeError, too.
        if not (isinstance(error, dist.DistError) or any(word in str(error) for word in _LOST)):
            raise
        raise HarmbenchError(
            f"Another process of this training has gone ({str(error).strip().splitlines()[0]}). What was saved "
            "is whole: start the same command again to go on from the last checkpoint."
        ) from error
    finally:
        dist.destroy_process_group()
