"""The evaluators that ship, with every metric's definition."""

from __future__ import annotations

from harmbench.specs import EvaluatorSpec, Goal, MetricSpec, Scope

_HERE = "harmbench_builtin.evaluators"
_JSD = (
    "Jensen-Shannon divergence, base 2, over log2 of the number of groups, on 10 equal-mass bins of the balanced "
    "mixture, each manufacturer against the balanced mixture of the others, out-of-fold features"
)
_SHIFT: tuple[Scope, ...] = ("overall", "manufacturer", "pair")


def _signal(name: str, label: str, definition: str, *scopes: Scope) -> MetricSpec:
    """One of the evaluator lvh-auc. Version 2: Boruta with a forest on 32 bins (1: scikit-learn's forest)."""
    return MetricSpec(
        name=name, label=label, goal="signal", direction="max", bounds=(0, 1), version=2, definition=definition,
        scopes=("overall", *scopes),
    )  # fmt: skip


def _lower(
    name: str, label: str, goal: Goal, definition: str, *, unit: str = "", version: int = 1, **more: object
) -> MetricSpec:
    bounds = more.get("bounds", (0.0, 1.0))
    scopes = more.get("scopes", ("overall",))
    return MetricSpec(
        name=name, label=label, goal=goal, direction="min", bounds=bounds, version=version,  # type: ignore[arg-type]
        definition=definition, scopes=scopes, unit=unit,  # type: ignore[arg-type]
    )  # fmt: skip


def _agreement(name: str, label: str, definition: str) -> MetricSpec:
    return MetricSpec(
        name=name, label=label, goal="signal", direction="max", bounds=(-1, 1), version=1, definition=definition
    )


EVALUATORS = (
    EvaluatorSpec(
        name="lvh-auc",
        target=f"{_HERE}.lvh_auc:LvhAuc",
        version="2",
        summary="Classification of the label: Boruta, then XGBoost, both inside the fold",
        requires=("scipy", "sklearn", "xgboost"),
        params={
            "boruta_iterations": 30,
            "boruta_trees": 100,
            "boruta_depth": 5,
            "trees": 100,
            "depth": 3,
            "learning_rate": 0.1,
            "inner_folds": 3,
        },
        metrics=(
            _signal(
                "auc_within", "AUC within",
                "AUC of out-of-fold predictions inside each manufacturer, averaged over the manufacturers that have "
                "both classes; the manufacturer cannot be a shortcut to the label", "manufacturer",
            ),
            _signal("auc_pooled", "AUC pooled", "AUC over all rows; includes the manufacturer shortcut"),
            _signal(
                "sensitivity", "Sensitivity",
                "Share of positives found at the threshold that maximises Youden's J on the training fold",
                "manufacturer",
            ),
            _signal("specificity", "Specificity", "Share of negatives left alone at that threshold", "manufacturer"),
            _signal("accuracy", "Accuracy", "Share of rows classified rightly at the same threshold", "manufacturer"),
            _signal("balanced_accuracy", "Balanced accuracy", "Mean of sensitivity and specificity", "manufacturer"),
            _lower("brier", "Brier", "signal", "Mean squared error of the predicted probability", version=2),
            _signal(
                "auc_lomo", "AUC LOMO",
                "Leave one manufacturer out: trained on the others, AUC on it, averaged", "manufacturer",
            ),
            _signal(
                "balanced_accuracy_lomo", "Bal. acc. LOMO",
                "Leave one manufacturer out: balanced accuracy at the others' threshold, averaged", "manufacturer",
            ),
        ),
    ),
    EvaluatorSpec(
        name="jsd",
        target=f"{_HERE}.jsd:Jsd",
        version="1",
        summary="Jensen-Shannon divergence between manufacturers, definition 1",
        params={"bins": 10, "small_group": 50, "paper": False},
        metrics=(
            _lower("jsd_raw", "JSD raw", "harmonization", f"{_JSD}; no correction for sample size", scopes=_SHIFT),
            _lower(
                "jsd_corrected", "JSD", "harmonization",
                f"{_JSD}; minus its value for identical distributions of these sample sizes", scopes=_SHIFT,
                bounds=(-1.0, 1.0),
            ),
            _lower(
                "jsd_conditional_raw", "JSD | label raw", "harmonization",
                f"{_JSD}; inside each label, then averaged; no correction", scopes=_SHIFT,
            ),
            _lower(
                "jsd_conditional", "JSD | label", "harmonization",
                f"{_JSD}; inside each label, then averaged; minus its value for identical distributions",
                scopes=(*_SHIFT, "map", "class"), bounds=(-1.0, 1.0),
            ),
            _lower(
                "jsd_conditional_median", "JSD | label median", "harmonization",
                "Median over features of the class-conditional corrected JSD", bounds=(-1.0, 1.0),
            ),
            _lower(
                "jsd_conditional_p90", "JSD | label p90", "harmonization",
                "90th percentile over features of the class-conditional corrected JSD", bounds=(-1.0, 1.0),
            ),
            _lower(
                "jsd_conditional_selected", "JSD | label selected", "harmonization",
                "Mean of the class-conditional corrected JSD over the features that Boruta kept in at least half of "
                "the folds", bounds=(-1.0, 1.0), version=2,
            ),
            _lower(
                "jsd_paper", "JSD (KDE)", "harmonization",
                "Gaussian KDE on a common grid, base 2, divergence: near what publications report; never ranked",
            ),
        ),
    ),
    EvaluatorSpec(
        name="manufacturer-predictability",
        target=f"{_HERE}.manufacturer_predictability:ManufacturerPredictability",
        version="1",
        summary="How well a linear and a tree classifier name the manufacturer, fitted inside the folds",
        requires=("sklearn",),
        params={"trees": 100, "per_map": True},
        metrics=(
            _lower(
                "manufacturer_auc_linear", "Manuf. AUC linear", "harmonization",
                "AUC (one against the rest, macro) of a logistic regression that names the manufacturer; values "
                "below 0.5 count as 0.5", scopes=("overall", "manufacturer", "map"), bounds=(0.5, 1.0),
            ),
            _lower(
                "manufacturer_auc_tree", "Manuf. AUC tree", "harmonization",
                "AUC (one against the rest, macro) of a random forest that names the manufacturer; values below 0.5 "
                "count as 0.5", scopes=("overall", "manufacturer", "map"), bounds=(0.5, 1.0),
            ),
            _lower(
                "manufacturer_bacc_linear", "Manuf. bal. acc. linear", "harmonization",
                "Balanced accuracy of the same logistic regression (chance is 1 over the number of manufacturers)",
            ),
            _lower(
                "manufacturer_bacc_tree", "Manuf. bal. acc. tree", "harmonization",
                "Balanced accuracy of the same random forest",
            ),
            _lower(
                "manufacturer_auc_tree_per_map", "Manuf. AUC tree per map", "harmonization",
                "Mean over maps of the AUC of a random forest of a quarter of the trees (at least 25) on one map's "
                "features: comparable between sets of unequal size", bounds=(0.5, 1.0),
            ),
            _lower(
                "manufacturer_auc_tree_map_sd", "its sd over maps", "harmonization",
                "Standard deviation over maps of the same AUC",
            ),
        ),
    ),
    EvaluatorSpec(
        name="distribution-shift",
        target=f"{_HERE}.distribution_shift:DistributionShift",
        version="1",
        summary="Companions of the JSD: energy distance, share of features that differ, variance explained",
        metrics=(
            _lower(
                "energy_distance", "Energy distance", "harmonization",
                "Multivariate energy distance between manufacturers, pairs averaged, features scaled by the "
                "training rows' mean and standard deviation, divided by the mean distance between manufacturers; an "
                "unbiased estimate, so it may lie a little below 0", bounds=(-1.0, 1.0),
            ),
            _lower(
                "share_different", "Features that differ", "harmonization",
                "Share of features with a Kruskal-Wallis p below 0.05 after Benjamini-Hochberg",
            ),
            _lower(
                "variance_explained", "Variance by manufacturer", "harmonization",
                "Share of variance between manufacturers on ranks (epsilon squared), mean over features",
                bounds=(-1.0, 1.0),
            ),
        ),
    ),
    EvaluatorSpec(
        name="integrity",
        target=f"{_HERE}.integrity:Integrity",
        version="1",
        summary="What harmonization did to the features themselves",
        metrics=(
            MetricSpec(
                name="rank_correlation", label="Rank corr. with raw", goal="integrity", direction="max",
                bounds=(-1, 1), version=1,
                definition="Spearman correlation with the feature before its feature stage, within manufacturer, mean "
                "over manufacturers and features",
            ),
            _lower("non_finite", "Non-finite", "integrity", "Share of harmonized values that are NaN or infinite"),
            _lower("constant_features", "Constant", "integrity", "Share of harmonized features that are constant"),
            _lower(
                "features_worse", "Features worse", "integrity",
                "Share of features whose class-conditional corrected JSD rose by more than 0.02 over their value "
                "before the feature stage (a negative one counts as 0 there)",
            ),
        ),
    ),
    EvaluatorSpec(
        name="paired-agreement",
        target=f"{_HERE}.paired_agreement:PairedAgreement",
        version="1",
        summary="Agreement of the same object's features across scanners (paired data only)",
        params={"reference": ""},
        metrics=(
            MetricSpec(
                name="ccc", label="CCC", goal="harmonization", direction="max", bounds=(-1, 1), version=1,
                definition="Lin's concordance correlation between scanners over pairs, mean over features",
                scopes=("overall", "pair"),
            ),
            MetricSpec(
                name="ccc_median", label="CCC median", goal="harmonization", direction="max", bounds=(-1, 1), version=1,
                definition="Median over features of the same",
            ),
            _lower(
                "reference_error", "Error to reference", "harmonization",
                "Mean absolute difference from the reference scanner's value of the same object, in standard "
                "deviations of the reference scanner's values, mean over features", bounds=(0.0, float("inf")),
                scopes=("overall", "pair"),
            ),
        ),
    ),
    EvaluatorSpec(
        name="interpretation",
        target=f"{_HERE}.interpretation:Interpretation",
        version="1",
        summary="Which features and maps carry the label, how surely, and which covariates they go with",
        reference="Nogueira et al. 2018, https://jmlr.org/papers/v18/17-514.html",
        params={"kept_in": 0.5, "least_features": 10, "least_patients": 10},
        requires=("scipy",),
        metrics=(
            _agreement(
                "selection_stability", "Selection stability",
                "How far cross-validation folds agree on the features that Boruta keeps: Nogueira's index, 1 for the "
                "same in every fold, 0 on average for features kept at random",
            ),
            _agreement(
                "selection_stability_maps", "Selection stability, maps",
                "The same for maps (kernels); a map is kept when one of its features is",
            ),
            _agreement(
                "importance_agreement", "Importance agreement",
                "Spearman correlation of the mean absolute SHAP values on held-out rows between two folds, over the "
                "features that both kept (three or more), mean over pairs of folds",
            ),
            _agreement("importance_agreement_maps", "Importance agreement, maps", "The same for maps that both kept"),
        ),
    ),
    EvaluatorSpec(
        name="cost",
        target=f"{_HERE}.cost:Cost",
        version="1",
        summary="Time per stage and peak memory",
        metrics=(
            _lower("seconds_extract", "Extract", "cost", "Image stage and extraction, CPU seconds over all images "
                   "(as measured when they were computed, cached or not)", unit="s", bounds=(0.0, float("inf"))),
            _lower("seconds_fit", "Fit", "cost", "Fitting the feature stage, all folds", unit="s",
                   bounds=(0.0, float("inf"))),
            _lower("seconds_transform", "Transform", "cost", "Applying the feature stage, all folds", unit="s",
                   bounds=(0.0, float("inf"))),
            _lower("peak_memory_mb", "Memory", "cost", "Largest resident memory of the process while it ran the cell",
                   unit="MiB", bounds=(0.0, float("inf"))),
        ),
    ),
)  # fmt: skip
