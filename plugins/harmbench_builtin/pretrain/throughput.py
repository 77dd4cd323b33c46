"""How much arithmetic a step is, how much the device could do, and how much memory was taken."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from harmbench_builtin.pretrain.model import CELL, Architecture, MaskedAutoencoder

_SIDE = {"cuda": 8192, "cpu": 768}
_PRODUCTS = {"cuda": 5, "cpu": 20}


def training_flops(arch: Architecture, image_size: int, decoder_width: int, channels: int = 1) -> float:
    """Floating-point operations of a forward and backward pass for one image.

    Convolutions and matrix products, a multiplication and an addition being two; the rest of the work (norms,
    activations, the optimizer) is not counted, as is usual for MFU. Nothing is computed: the pass runs on shapes.
    """
    # torch's own rule for the gradient of a convolution takes no account of groups and counts a depthwise one
    # as often as it has channels.
    rules = {torch.ops.aten.convolution_backward: _convolution_backward}
    with torch.device("meta"):
        network = MaskedAutoencoder(arch, channels, decoder_width)
    # Autocast knows no device "meta"; these tensors say that they are on a CPU, and have no more content.
    with FakeTensorMode(allow_non_fake_inputs=True):
        network.to_empty(device="cpu")
        images = torch.empty(1, channels, image_size, image_size)
        visible = torch.ones(1, 1, image_size // CELL, image_size // CELL, dtype=torch.bool)
        with FlopCounterMode(display=False, custom_mapping=rules) as counter:
            network(images, visible).sum().backward()
    return float(counter.get_total_flops())


def _convolution_backward(
    gradient: Any, images: Any, weight: Any, *args: Any, out_shape: Any = None, **more: Any
) -> int:
    """Either gradient of a convolution takes as many operations as the convolution itself."""
    wanted = args[-1]  # which of the gradients by input, weight, bias
    return 2 * gradient[0] * math.prod(gradient[2:]) * math.prod(weight) * (int(wanted[0]) + int(wanted[1]))


def measured_peak(device: torch.device, precision: str) -> float:
    """Floating-point operations per second of a large square matrix product, the best of a few.

    Measured, not from a data sheet: a share of it says how far a training is from what this machine does at best.
    """
    side = _SIDE[device.type]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    # Random numbers: products of zeros run faster, because they take less power.
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    best = math.inf
    a @ b
    for _ in range(_PRODUCTS[device.type]):
        start = _clock(device)
        a @ b
        best = min(best, _clock(device) - start)
    return 2 * side**3 / best


def _clock(device: torch.device) -> float:
    """Seconds in which this program worked; on a busy CPU the wall's clock would also count those of others."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.thread_time()


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far, in 2**20 bytes: torch's tensors on a GPU, else the whole process.

    NaN where the system does not say.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
