"""Reference values for `combat-gam` and `longitudinal-combat`, from neuroHarmonize and statsmodels.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install neuroHarmonize==2.5.2
    /tmp/reference/bin/python tests/golden/make_combat.py

writes `combat.npz` beside this file. It was made with neuroHarmonize 2.5.2, statsmodels 0.15.0, NumPy 1.26.4,
pandas 2.3.3, SciPy 1.17.1, Python 3.11.

neuroHarmonize chooses the penalty of every curve by five-fold cross-validation on random folds. To compare what can be
compared, that choice is replaced by a fixed penalty here; `gam_chosen` is its own choice with a seeded generator.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
from neuroHarmonize import harmonizationLearn
from statsmodels.gam.api import GLMGam
from statsmodels.regression.mixed_linear_model import MixedLM

PENALTIES = (0.0, 0.01, 40.0)


def gam_data() -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(7)
    n, p = 90, 6
    site = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    age = np.round(rng.uniform(20, 80, n), 2)
    bmi = np.round(rng.normal(26, 4, n), 2)
    values = np.sin(age / 12)[:, None] * rng.normal(1, 1, p) + 0.05 * bmi[:, None] * rng.normal(size=p)
    values += rng.normal(size=(3, p))[site] + rng.normal(size=(n, p)) * np.array([0.5, 0.8, 1.2])[site][:, None]
    return values, pd.DataFrame({"SITE": site.astype(str), "AGE": age, "BMI": bmi})


def gam(values: np.ndarray, covars: pd.DataFrame, penalty: float | None) -> np.ndarray:
    original = GLMGam.select_penweight_kfold
    if penalty is not None:
        GLMGam.select_penweight_kfold = lambda self, *a, **k: ([penalty], None)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return harmonizationLearn(values, covars, smooth_terms=["AGE"], seed=0)[1]
    finally:
        GLMGam.select_penweight_kfold = original


def longitudinal_data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    patient = np.repeat(np.arange(34), rng.integers(1, 5, 34))
    n, p = len(patient), 6
    batch = rng.choice(3, n)
    time = np.round(rng.uniform(0, 5, n), 3)
    values = rng.normal(size=(34, p))[patient] * np.array([0.0, 0.3, 1, 2, 4, 1]) + rng.normal(size=(n, p))
    values += rng.normal(size=(3, p))[batch] + 0.3 * time[:, None] * rng.normal(size=p) + 10
    return values, patient, batch, time


def main() -> None:
    values, covars = gam_data()
    out = {"gam_values": values, "gam_site": covars.SITE.to_numpy(str), "gam_age": covars.AGE.to_numpy()}
    out["gam_bmi"] = covars.BMI.to_numpy()
    out["gam_penalties"] = np.array(PENALTIES)
    out["gam_fixed"] = np.stack([gam(values, covars, penalty) for penalty in PENALTIES])
    out["gam_chosen"] = gam(values, covars, None)
    values, patient, batch, time = longitudinal_data()
    design = np.column_stack([(batch == i).astype(float) for i in range(3)] + [time - time.mean()])
    coefficients, variance, ratio, intercepts = [], [], [], []
    for y in values.T:
        fit = MixedLM(y, design, groups=patient).fit(reml=True, method=["bfgs", "nm"], gtol=1e-12, maxiter=5000)
        coefficients.append(fit.fe_params)
        variance.append(fit.scale)
        ratio.append(fit.cov_re[0, 0] / fit.scale)
        intercepts.append(
            [
                fit.random_effects[g].iloc[0] if hasattr(fit.random_effects[g], "iloc") else fit.random_effects[g][0]
                for g in range(34)
            ]
        )
    out |= {"mixed_values": values, "mixed_patient": patient, "mixed_batch": batch, "mixed_time": time}
    out |= {"mixed_coefficients": np.array(coefficients).T, "mixed_variance": np.array(variance)}
    out |= {"mixed_ratio": np.array(ratio), "mixed_intercepts": np.array(intercepts).T}
    np.savez_compressed(Path(__file__).with_name("combat.npz"), **out)


if __name__ == "__main__":
    main()
