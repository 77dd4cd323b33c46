"""Settings with a name."""

from __future__ import annotations

from dataclasses import replace

from harmbench.errors import UsageError, suggestion
from harmbench_builtin.pretrain.settings import Settings

ECHO = Settings()
"""Ours: sector-aware, noise floor, weights initialised once with sd 0.02."""

OFFICIAL = Settings(
    image_size=224,
    batch=256,
    # Their rule, 1.5e-4 x batch / 256.
    lr=1.5e-4,
    warmup=0.05,
    clip=0.0,
    # The published code keeps no average.
    ema=0.0,
    # Background is hidden and scored like anything else.
    min_sector=0.0,
    # Their 1e-6 on images of unit variance, in grey levels of an image whose sd is 50.
    floor=0.05,
    # A defect of theirs: the weights are drawn a second time, with sd 1 cut at 2, which gives sd 0.88.
    init_sd=1.0,
)
"""What the published PyTorch code does, where it is not a bug beyond that: its GRN pools over the whole batch, ours
over each sample; it decays the weights of GRN, which we leave out. Its rule for `lr` holds for this batch only."""

PRESETS = {"echo": ECHO, "official": OFFICIAL}


def preset(name: str, **changes: object) -> Settings:
    """Settings by name, some of them changed; UsageError for an unknown name or setting."""
    if name not in PRESETS:
        raise UsageError(f"There is no pretraining preset '{name}'.{suggestion(name, PRESETS)}")
    known = Settings.__dataclass_fields__
    for key in changes:
        if key not in known:
            raise UsageError(f"There is no pretraining setting '{key}'.{suggestion(key, known)}")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]
