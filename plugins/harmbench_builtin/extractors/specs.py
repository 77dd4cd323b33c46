"""The feature extractors that ship."""

from __future__ import annotations

from harmbench.specs import ExtractorSpec

EXTRACTORS = (
    ExtractorSpec(
        name="fast2d",
        target="harmbench_builtin.extractors.fast2d.extractor:Fast2d",
        version="1",
        summary="PyRadiomics' 2-D features (the same 93 per map and 9 per mask) from a compiled engine",
        reference="10.1158/0008-5472.CAN-17-0339",
        params={"bin_count": 32, "bin_width": 0.0, "shape": True, "distance": 1, "symmetrical_glcm": True},
    ),
    ExtractorSpec(
        name="pyradiomics",
        target="harmbench_builtin.extractors.pyradiomics:PyRadiomics",
        version="1",
        summary="PyRadiomics in 2-D: first order, GLCM, GLRLM, GLSZM, GLDM, NGTDM per map, shape2D per mask",
        reference="10.1158/0008-5472.CAN-17-0339",
        requires=("radiomics (pip install 'harmbench[pyradiomics]')", "SimpleITK"),
        params={"bin_count": 32, "bin_width": 0.0, "shape": True, "distance": 1, "symmetrical_glcm": True},
    ),
)
