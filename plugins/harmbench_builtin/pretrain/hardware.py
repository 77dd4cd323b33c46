"""What the machine offers: device, precision, memory layout, compiler."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from harmbench.errors import UsageError
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.model import MaskedAutoencoder

_WARM, _TIMED = 2, 4
"""Passes before and within a measurement of a memory layout."""


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """The device behind "auto", "cpu" or "cuda"; UsageError where there is no such one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but this torch sees no CUDA GPU. Use device 'auto' or 'cpu'.")
    return torch.device("cuda", local_rank)


def device_name(device: torch.device) -> str:
    """What the model card says about the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def find_precision(wanted: str, device: torch.device) -> str:
    """ "fp32", "tf32" or "bf16"."""
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "tf32"


@contextmanager
def torch_set_up(threads: int, precision: str) -> Iterator[None]:
    """CPU threads (0: as they are) and the precision of float32 products, put back in the end."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    fast = precision != "fp32"
    if threads:
        torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if fast else "highest")
    torch.backends.cudnn.allow_tf32 = fast
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])
        torch.backends.cudnn.allow_tf32 = before[2]


def choose_layout(
    network: MaskedAutoencoder, wanted: str, device: torch.device, world: World, work: Callable[[], None]
) -> bool:
    """Set the network's memory layout; True: channels last.

    Parameters
    ----------
    wanted : {"auto", "true", "false"}
        "auto" takes the faster of the two for `work` on a GPU, all processes the same, and channels last on a CPU.
    work : callable
        A forward and backward pass of usual shape.
    """
    if wanted != "auto" or device.type != "cuda":
        network.arrange(wanted != "false")
        return wanted != "false"
    seconds = []
    for channels_last in (False, True):
        network.arrange(channels_last)
        for _ in range(_WARM):
            work()
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(_TIMED):
            work()
        torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    total = world.total(torch.tensor(seconds, dtype=torch.float64, device=device))
    channels_last = bool(total[1] <= total[0])
    network.arrange(channels_last)
    return channels_last


def compile_network(
    network: MaskedAutoencoder, wanted: str, device: torch.device, world: World, work: Callable[[], None]
) -> bool:
    """Compile the network in place where that is wanted and works on all processes; True when it is compiled.

    Parameters
    ----------
    wanted : {"auto", "true", "false"}
        "auto": on a GPU.
    work : callable
        A forward and backward pass of usual shape: compilation happens at the first one.

    Warns
    -----
    When compilation fails; training goes on without it.
    """
    if wanted == "false" or (wanted == "auto" and device.type != "cuda"):
        return False
    why = ""
    try:
        network.compile(dynamic=False)
        work()
    except (
        Exception
    ) as error:  # what a compiler raises has no common type: no C++ compiler, no Triton, a driver too old
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    failed = world.total(torch.tensor(float(bool(why)), device=device)).item()
    if not failed:
        return True
    network._compiled_call_impl = None
    torch.compiler.reset()
    warnings.warn(
        f"torch.compile did not work, so training goes on without it ({why or 'on another process'}).", stacklevel=2
    )
    return False
