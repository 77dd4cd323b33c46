"""Self-supervised kernels and their control."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.ssl_kernel"

KERNELS = (
    HarmonizerSpec(
        name="ssl-kernel",
        target=f"{_HERE}.harmonizer:SslKernel",
        version="2",
        stage="image",
        summary="Maps of the image under the stem kernels of a masked autoencoder (ConvNeXt-V2)",
        reference="arXiv:2310.08897",
        handles_unseen_manufacturer=True,
        fits=False,
        pretrained_on=("plax-phantom",),
        params={"kernels": "fcmae-atto-phantom", "reduce": "concat", "select": ""},
    ),
    HarmonizerSpec(
        name="random-kernel",
        target=f"{_HERE}.harmonizer:RandomKernel",
        version="2",
        stage="image",
        summary="Maps under random kernels of the same shape and norms: what any 4 x 4 filter would do",
        role="control",
        handles_unseen_manufacturer=True,
        fits=False,
        params={"like": "fcmae-atto-phantom", "seed": 0, "reduce": "concat", "select": ""},
    ),
)
