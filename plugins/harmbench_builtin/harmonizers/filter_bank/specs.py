"""Fixed banks of linear filters: what learnt kernels have to be better than."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.filter_bank"

BANKS = (
    HarmonizerSpec(
        name="gabor",
        target=f"{_HERE}.gabor:Gabor",
        version="1",
        stage="image",
        summary="Maps under Gabor filters of several frequencies and orientations",
        reference="10.1364/JOSAA.2.001160",
        fits=False,
        handles_unseen_manufacturer=True,
        params={
            "frequencies": "0.1,0.2,0.4",
            "orientations": 4,
            "bandwidth": 1.0,
            "part": "both",
            "reduce": "concat",
            "select": "",
        },
    ),
    HarmonizerSpec(
        name="laplacian-of-gaussian",
        target=f"{_HERE}.laplacian:LaplacianOfGaussian",
        version="1",
        stage="image",
        summary="Maps under Laplacians of Gaussians of several widths",
        reference="10.1098/rspb.1980.0020",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"sigmas": "1,2,3,4,5", "unit": "px", "reduce": "concat", "select": ""},
    ),
    HarmonizerSpec(
        name="laws",
        target=f"{_HERE}.laws:Laws",
        version="1",
        stage="image",
        summary="Maps under Laws' texture masks: products of level, edge, spot, wave and ripple",
        reference="10.1117/12.959169",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"size": 5, "reduce": "concat", "select": ""},
    ),
    HarmonizerSpec(
        name="wavelet",
        target=f"{_HERE}.wavelet:Wavelet",
        version="1",
        stage="image",
        summary="Sub-bands of an undecimated wavelet transform (haar, db2 to db8)",
        reference="10.1002/cpa.3160410705",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"wavelet": "haar", "levels": 1, "reduce": "concat", "select": ""},
    ),
    HarmonizerSpec(
        name="dct",
        target=f"{_HERE}.dct:Dct",
        version="1",
        stage="image",
        summary="Maps under the cosine basis of 4 x 4 pixels: as many and as large as a 4 x 4 stem could be",
        reference="10.1109/T-C.1974.223784",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"size": 4, "reduce": "concat", "select": ""},
    ),
)
