"""ConvNeXt-V2 as a masked autoencoder (FCMAE), dense, with parameter names as in timm.

The published training code stores visible sites only (sparse convolution). Here every site is stored and hidden
ones are multiplied by zero. Both give the same numbers at visible sites when three rules are kept, and only then:
the visibility multiplies the input and the output of every depthwise convolution, the GRN norm sums over visible
sites of one sample, and the final map is multiplied once more. The stem and the downsampling convolutions need no
mask: their windows never cross the border of a cell.

Source: Woo et al., "ConvNeXt V2", arXiv 2301.00808. Names of modules follow timm's `convnextv2_*`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmbench.errors import UsageError, suggestion
from harmbench_builtin.pretrain.response_norm import EPSILON, ResponseNorm

CELL = 32
"""Side of a cell in pixels: one site of the last stage. Cells are what is hidden and what is reconstructed."""
STEM = 4
"""Size and stride of the stem's kernels."""


@dataclass(frozen=True)
class Architecture:
    """Depths and widths of the four stages.

    Parameters
    ----------
    depths, dims : 4 ints each
    conv_mlp : bool
        True: the two linear layers of a block are stored as 1 x 1 convolutions (timm does so from atto to nano).
        Only the rank of the stored weights differs, not what is computed.
    """

    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]
    conv_mlp: bool = False


ARCHITECTURES = {
    "atto": Architecture((2, 2, 6, 2), (40, 80, 160, 320), conv_mlp=True),
    "femto": Architecture((2, 2, 6, 2), (48, 96, 192, 384), conv_mlp=True),
    "pico": Architecture((2, 2, 6, 2), (64, 128, 256, 512), conv_mlp=True),
    "nano": Architecture((2, 2, 8, 2), (80, 160, 320, 640), conv_mlp=True),
    "tiny": Architecture((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": Architecture((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": Architecture((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": Architecture((3, 3, 27, 3), (192, 384, 768, 1536)),
    "huge": Architecture((3, 3, 27, 3), (352, 704, 1408, 2816)),
}


def architecture(size: str) -> Architecture:
    """The architecture of a size; UsageError for an unknown one."""
    if size not in ARCHITECTURES:
        raise UsageError(f"There is no ConvNeXt-V2 size '{size}'.{suggestion(size, ARCHITECTURES)}")
    return ARCHITECTURES[size]


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Global response normalization of (B, H, W, C) over the visible sites of each sample.

    `x + bias + weight * x * g / mean(g)`, where g is a channel's L2 norm over space, taken in float32 at least (half
    precision overflows). Hidden sites count as zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            result = ResponseNorm.apply(x, visible, self.weight, self.bias)
        assert isinstance(result, Tensor)
        return result


class Mlp(nn.Module):
    """Linear x 4, GELU, GRN, linear, on (B, H, W, C)."""

    def __init__(self, channels: int, conv: bool) -> None:
        super().__init__()
        self.fc1: nn.Module = nn.Conv2d(channels, 4 * channels, 1) if conv else nn.Linear(channels, 4 * channels)
        self.grn = GlobalResponseNorm(4 * channels)
        self.fc2: nn.Module = nn.Conv2d(4 * channels, channels, 1) if conv else nn.Linear(4 * channels, channels)

    @staticmethod
    def _linear(layer: nn.Module, x: Tensor) -> Tensor:
        # flatten: a 1 x 1 convolution is a linear layer; as a matrix product it is the faster of the two on a CPU.
        return F.linear(x, layer.weight.flatten(1), layer.bias)  # type: ignore[arg-type, operator]

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        return self._linear(self.fc2, self.grn(F.gelu(self._linear(self.fc1, x)), visible))


class Block(nn.Module):
    """Depthwise 7 x 7, LayerNorm, MLP with GRN, residual. Only the depthwise convolution mixes neighbours."""

    def __init__(self, channels: int, conv_mlp: bool) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.mlp = Mlp(channels, conv_mlp)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        # Hidden sites become non-zero through biases and norms, so they are hidden again at every block's input.
        y = self.conv_dw(x) if visible is None else self.conv_dw(x * visible) * visible
        y = self.norm(y.permute(0, 2, 3, 1))
        y = self.mlp(y, None if visible is None else visible.permute(0, 2, 3, 1))
        return x + y.permute(0, 3, 1, 2)


class Stage(nn.Module):
    """A downsampling convolution (the first stage has none: `incoming` is None) and its blocks."""

    def __init__(self, incoming: int | None, channels: int, depth: int, conv_mlp: bool) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity()
            if incoming is None
            else nn.Sequential(LayerNorm2d(incoming), nn.Conv2d(incoming, channels, 2, stride=2))
        )
        self.blocks = nn.ModuleList(Block(channels, conv_mlp) for _ in range(depth))

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        x = self.downsample(x)
        for block in self.blocks:
            x = block(x, visible)
        return x


class Encoder(nn.Module):
    """ConvNeXt-V2 without its head.

    Parameters
    ----------
    arch : Architecture
    in_chans : int
    """

    def __init__(self, arch: Architecture, in_chans: int = 1) -> None:
        super().__init__()
        dims = arch.dims
        self.stem = nn.Sequential(nn.Conv2d(in_chans, dims[0], STEM, stride=STEM), LayerNorm2d(dims[0]))
        self.channels_last = True
        """Memory layout of the maps; the same numbers either way, to rounding."""
        self.stages = nn.ModuleList(
            Stage(dims[i - 1] if i else None, dims[i], arch.depths[i], arch.conv_mlp) for i in range(4)
        )

    def respond(self, x: Tensor) -> Tensor:
        """Responses of the stem's kernels (B, K, H/4, W/4), before any norm."""
        return self.stem[0](x.contiguous(memory_format=torch.channels_last) if self.channels_last else x)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """The last stage's map.

        Parameters
        ----------
        x : (B, C, H, W)
            H and W are multiples of 32.
        visible : (B, 1, H/32, W/32), optional
            1 where a cell is seen, 0 where it is hidden; None: everything is seen.

        Returns
        -------
        (B, dims[3], H/32, W/32), zero at hidden cells.
        """
        return self.encode(self.respond(x), visible)

    def encode(self, stem: Tensor, visible: Tensor | None = None) -> Tensor:
        """`forward` from the stem's responses on."""
        x = self.stem[1](stem)
        if visible is not None:
            visible = visible.to(x.dtype)
        for i, stage in enumerate(self.stages):
            x = stage(x, None if visible is None else _enlarge(visible, 8 >> i))
        return x if visible is None else x * visible


def _enlarge(visible: Tensor, times: int) -> Tensor:
    return visible.repeat_interleave(times, 2).repeat_interleave(times, 3) if times > 1 else visible


class MaskedAutoencoder(nn.Module):
    """Encoder and a decoder of one block that predicts the pixels of every cell.

    Parameters
    ----------
    arch : Architecture
    in_chans : int
    decoder_width : int
    init_sd : float
        Standard deviation of all initial weights, drawn once (the published code draws a second time with sd 1,
        after which the stem hardly moves: its weights change by about the learning rate per step).
    generator : torch.Generator, optional
    """

    def __init__(
        self,
        arch: Architecture,
        in_chans: int = 1,
        decoder_width: int = 512,
        init_sd: float = 0.02,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(arch, in_chans)
        self.proj = nn.Conv2d(arch.dims[3], decoder_width, 1)
        self.mask_token = nn.Parameter(torch.zeros(1, decoder_width, 1, 1))
        self.decoder = Block(decoder_width, arch.conv_mlp)
        self.pred = nn.Conv2d(decoder_width, in_chans * CELL**2, 1)
        self._initialise(init_sd, generator)

    def _initialise(self, sd: float, generator: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=sd, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.mask_token, std=0.02, generator=generator)

    def forward(self, x: Tensor, visible: Tensor, with_stem: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Predicted cells (B, C * 32 * 32, H/32, W/32), laid out as `objective.patchify` does.

        With `with_stem` also the stem's responses to the whole image (B, K, H/4, W/4).
        """
        stem = self.encoder.respond(x)
        code = self.proj(self.encoder.encode(stem, visible))
        seen = visible.to(code.dtype)
        predicted = self.pred(self.decoder(code * seen + self.mask_token.to(code.dtype) * (1 - seen)))
        return (predicted, stem) if with_stem else predicted

    def arrange(self, channels_last: bool) -> None:
        """Choose the memory layout of weights and maps."""
        self.encoder.channels_last = channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        for module in self.modules():
            # Weights have the strides of their gradients, or every exchange of gradients would be a copy. `contiguous`
            # leaves those of one channel as they are, and what is one by one gets its gradient from a matrix product.
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                module.weight.data = torch.empty_like(module.weight.data, memory_format=layout).copy_(module.weight)

    @property
    def stem(self) -> nn.Conv2d:
        """The convolution whose kernels are what `ssl-kernel` filters with."""
        conv = self.encoder.stem[0]
        assert isinstance(conv, nn.Conv2d)
        return conv
