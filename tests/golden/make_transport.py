"""Reference values for `coral`, `linear-ot`, `entropic-ot` and `harmony`, from skada, POT and harmonypy.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install POT==0.9.7.post1 skada==0.6.0 harmonypy==2.1.0
    /tmp/reference/bin/python tests/golden/make_transport.py

writes `transport.npz` beside this file. It was made with these versions, NumPy 2.4.6, scikit-learn 1.9.1, Python 3.11.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ot
from harmonypy import run_harmony
from skada import CORALAdapter
from transport_cases import REGULARIZATION, SHRINKAGE, rows, within_scale


def coral() -> np.ndarray:
    """skada without shrinkage: rows of the first group in the space of the second, both standardized by one scale."""
    parts = rows(80, 6, 2, seed=1)
    scale = within_scale(parts)
    stacked = np.concatenate(parts) / scale
    domain = np.repeat([1, -2], 80)
    adapter = CORALAdapter(reg=None)
    moved = adapter.fit(stacked, sample_domain=domain).transform(stacked, sample_domain=domain, allow_source=True)
    # skada takes both means off and adds none.
    return np.asarray(moved[:80]) * scale + parts[1].mean(axis=0)


def linear() -> np.ndarray:
    """POT's linear map of the first group to the second."""
    parts = rows(80, 6, 2, seed=1)
    scale = within_scale(parts)
    # Ours is (1 - s) C + s I with divisor n - 1; POT adds reg to C with divisor n. A common factor changes no map.
    reg = SHRINKAGE / (1 - SHRINKAGE) * 79 / 80
    operator, offset = ot.gaussian.empirical_bures_wasserstein_mapping(parts[0] / scale, parts[1] / scale, reg=reg)
    return (parts[0] / scale @ operator + offset) * scale


def barycentre() -> np.ndarray:
    """POT's covariance in the middle of three."""
    parts = rows(80, 6, 3, seed=2)
    covariances = np.stack([np.cov(part.T) for part in parts])
    return ot.gaussian.bures_wasserstein_barycenter(
        np.zeros((3, 6)), covariances, np.full(3, 1 / 3), num_iter=10_000, eps=1e-11
    )[1]


def entropic() -> dict[str, np.ndarray | float]:
    """POT's SinkhornTransport of the first group to the second: its own rows, new rows, and the regularization."""
    parts = rows(40, 6, 2, seed=3)
    scale = within_scale(parts)
    source, target = (part / scale for part in parts)
    cost = ((source[:, None] - target[None]) ** 2).sum(axis=2)
    inner = cost - cost.mean(axis=1, keepdims=True) - cost.mean(axis=0) + cost.mean()
    reg = float(REGULARIZATION * inner.std())
    new = rows(10, 6, 2, seed=4)[0] / scale
    found: dict[str, np.ndarray | float] = {"entropic_regularization": reg}
    for ours, theirs in (("map", "continuous"), ("nearest", "ferradans")):
        transport = ot.da.SinkhornTransport(
            reg_e=reg, method="sinkhorn_log", tol=1e-13, max_iter=100_000, out_of_sample_map=theirs
        )
        transport.fit(Xs=source, Xt=target)
        found[f"entropic_{ours}"] = transport.transform(Xs=source) * scale
        found[f"entropic_{ours}_new"] = transport.transform(Xs=new) * scale
    return found


def harmony() -> np.ndarray:
    """harmonypy on the first three principal components of 60 rows, and its correction in features."""
    parts = rows(30, 6, 2, seed=5)
    stacked = np.concatenate(parts)
    mean, sd = stacked.mean(axis=0), stacked.std(axis=0, ddof=1)
    _, _, loadings = np.linalg.svd((stacked - mean) / sd, full_matrices=False)
    loadings = loadings[:3]
    loadings *= np.sign(loadings[np.arange(3), np.abs(loadings).argmax(axis=1)])[:, None]
    embedded = (stacked - mean) / sd @ loadings.T
    groups = {"manufacturer": np.repeat(["GE", "Philips"], 30).astype(object)}
    corrected = run_harmony(
        embedded, groups, "manufacturer", theta=2.0, sigma=0.1, nclust=2, verbose=False, random_state=11, ncores=1
    ).Z_corr
    return stacked + (corrected - embedded) @ loadings * sd


def main() -> None:
    np.savez_compressed(
        Path(__file__).with_name("transport.npz"),
        coral=coral(),
        linear=linear(),
        barycentre=barycentre(),
        harmony=harmony(),
        **entropic(),
    )


if __name__ == "__main__":
    main()
