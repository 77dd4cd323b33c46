"""Write what scikit-image, intensity-normalization and PyWavelets make of some pictures to `image_methods.npz`.

    pip install scikit-image intensity-normalization PyWavelets
    PYTHONPATH=tests python -m golden.make_image_methods

None of the three is needed by harmbench or its tests. A value that moves for any other reason than a changed picture in
`image_cases.py` is a finding, not a new reference.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pywt
from intensity_normalization.adapters.images import NumpyImageAdapter
from intensity_normalization.normalizers.population.nyul import NyulNormalizer
from skimage.exposure import equalize_adapthist, match_histograms
from skimage.filters import gabor_kernel
from skimage.restoration import denoise_nl_means

from golden.image_cases import grey

FILE = Path(__file__).with_name("image_methods.npz")
WAVELETS = ("haar", "db2", "db3", "db4", "db5", "db6", "db7", "db8")


def main() -> None:
    """Write the file."""
    values: dict[str, np.ndarray] = {}
    values["matched"] = match_histograms(grey(seed=1), grey(seed=2, level=40))
    training = [grey(seed=i, level=30 + 15 * i) for i in range(4)]
    nyul = NyulNormalizer(output_min_value=0.0, output_max_value=255.0)
    nyul.fit_population([NumpyImageAdapter(image) for image in training])
    values["nyul_standard"] = nyul.standard_scale
    values["nyul"] = nyul.transform(NumpyImageAdapter(grey(seed=9, level=100))).get_data()
    large = grey(256, 256, seed=3).astype(np.uint8)
    for tiles, clip in ((2, 0.02), (4, 0.01), (4, 0.05)):
        values[f"clahe_{tiles}_{clip}"] = equalize_adapthist(large, 256 // tiles, clip)[::8, ::8]
    values["nlm"] = denoise_nl_means(
        grey(seed=5), patch_size=5, patch_distance=5, h=10.0, sigma=12.0, fast_mode=False, preserve_range=True
    )
    for frequency in (0.1, 0.4):
        for degrees in (0, 45, 110):
            values[f"gabor_{frequency}_{degrees}"] = gabor_kernel(frequency, np.radians(degrees))
    picture = grey(64, 64, seed=7)
    for name in WAVELETS:
        values[f"low_{name}"] = np.array(pywt.Wavelet(name).dec_lo)
    for name, levels in (("haar", 1), ("haar", 2), ("db3", 1), ("db3", 2)):
        # Coarsest level first: (cA, (cH, cV, cD)), then the levels before it.
        for i, (low, (across, down, both)) in enumerate(pywt.swt2(picture, name, levels)):
            at = f"swt_{name}_{levels}_{levels - i}"
            bands = {"LL": low, "HL": across, "LH": down, "HH": both}
            values |= {f"{at}_{band}": found[24:40, 24:40] for band, found in bands.items()}
    names = ("scikit-image", "intensity-normalization", "PyWavelets", "numpy")
    np.savez_compressed(FILE, versions=json.dumps({name: version(name) for name in names}), **values)


if __name__ == "__main__":
    main()
