"""What stands behind every figure of the page: one popover each, opened by the button beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page.markup import Safe, el, text
from harmbench.leaderboard.render import below_zero

BETTER = {"min": "smaller is better", "max": "larger is better"}


@dataclass
class Definitions:
    """Popovers of the definitions that the page refers to.

    Parameters
    ----------
    board : Board
    """

    board: Board
    _number: dict[str, int] = field(default_factory=dict)
    _own: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = _own_words(self.board)
        for name in [*self.board.definitions, *self._own]:
            self._number[name] = len(self._number)

    def button(self, name: str) -> Safe:
        """The button that opens a definition: a metric's name, or one of the page's own words."""
        title = self._own[name][0] if name in self._own else self.board.definitions[name].label
        return el(
            "button", "?", type="button", class_="info", popovertarget=f"def-{self._number[name]}",
            aria_label=f"Definition of {title}",
        )  # fmt: skip

    def popovers(self) -> Safe:
        """All of them, to stand at the end of the page."""
        return text(self._popover(name) for name in self._number)

    def _popover(self, name: str) -> Safe:
        key = f"def-{self._number[name]}"
        if name in self._own:
            title, words = self._own[name]
            body = text(el("p", line) for line in words.split("\n"))
        else:
            d = self.board.definitions[name]
            title = d.label
            facts = f"{d.goal}, {BETTER[d.direction]}, version {d.version}" + (f", in {d.unit}" if d.unit else "")
            source = d.recorded or "worked out anew from the stored features and predictions when this page was built"
            body = text([el("p", d.definition + "."), el("p", el("code", name), f": {facts}. Figures: {source}.")])
        close = el("button", "Close", type="button", popovertarget=key, popovertargetaction="hide")
        return el("div", el("h3", title), body, close, id=key, popover="auto", class_="card", role="note")


def _own_words(board: Board) -> dict[str, tuple[str, str]]:
    """Titles and texts of what is no metric."""
    gate, goal = board.definitions[board.ranking["gate"]], board.definitions[board.ranking["goal"]]
    draws = board.settings["uncertainty"]["replicates"]
    floor = below_zero(goal)
    margin = "minus that of none" if gate.direction == "max" else "of none minus the method's"
    return {
        "rank": (
            "Rank",
            f"Gate, then goal: methods that pass the gate are ordered by {goal.label}, {BETTER[goal.direction]}. "
            f"There is no weighted total. {floor}\n"
            "1–3 means: the data allow any rank from 1 to 3, because paired differences to the others include 0. "
            "A letter names a tie group: neighbours in the order that cannot be told apart.",
        ),
        "gate": (
            "Gate: is the signal kept?",
            f"Δ is {gate.label} {margin}, on the same patient resamples, with its 95 % interval. A method passes when "
            f"the lower bound lies above −{board.ranking['delta']:g}. “Not shown” means that the data do not show it; "
            "the method may still keep the signal.",
        ),
        "interval": (
            "Intervals",
            f"95 %, from {draws} patient bootstrap replicates of out-of-fold values, drawn within manufacturer and "
            "label; the same resamples for every method, so that differences are paired. The thin bar under a figure "
            "shows value and interval on the scale of its column.",
        ),
        "worst": (
            "Worst manufacturer",
            f"The manufacturer with the worst {gate.label}, and its value: a mean may hide it.",
        ),
        "front": (
            "On the Pareto front",
            "A method is on the front when no other is at least as good at both goals and better at one. The figure is "
            "the share of bootstrap replicates in which that holds. Filled points are on the front by their values. "
            f"{floor}",
        ),
        "sweep": (
            "Weight sweep",
            "For display only; ranks do not rest on it. Both goals are put on a scale of named rows: harmonization 0 "
            "at none and 1 at collapse (constant features), signal 0 at shuffle (rows permuted) and 1 at none. "
            f"{floor} The total is the weighted sum. “First in” is the share of bootstrap replicates in which the "
            "method has the largest total. The tick at 0.6 / 0.4 is the weighting that scib made a convention: 0.6 for "
            "what is to be kept, 0.4 for the batch effect removed.",
        ),
        "time": (
            "Time",
            "CPU seconds of image stage and extraction over all images, plus fitting and applying over all folds.",
        ),
        "classes": (
            "JSD by feature class and pair",
            f"{goal.label} of single features, each manufacturer against the other one of the pair, averaged over the "
            "features of a class (over all maps). First repeat. With two manufacturers it is the figure of the ranked "
            "metric.",
        ),
        "distributions": (
            "Distributions of a feature",
            "Histograms of out-of-fold values in 24 bins between the 1 % and the 99 % quantile of all rows; what lies "
            "outside is in the outer bins. Each manufacturer's rows sum to 1. First repeat. “Original image” is the "
            "same feature without any method; every panel has its own axis, because methods change the scale. JSD is "
            "the class-conditional corrected value of this feature.",
        ),
        "transfer": (
            "Leave one manufacturer out",
            "Harmonization, feature selection and classifier are fitted on the other manufacturers and tested on the "
            "one left out. Balanced accuracy is at the threshold chosen on the others: it falls where scores are "
            "shifted, which an AUC hides. “Cross-validated” is the AUC inside the same manufacturer when it was in the "
            "training folds. n/a: the method cannot serve a manufacturer that it has not seen. A dash: there is no "
            "figure.",
        ),
        "reliability": (
            "Reliability",
            "Out-of-fold predictions in the order of their predicted probability, cut into groups of equal size; each "
            "point shows the mean prediction and the share of positives with its Wilson 95 % interval. On the "
            "diagonal, probabilities can be taken at their word. The intervals take rows as independent: where "
            "patients have several images they are too narrow. First repeat.",
        ),
        "shap": (
            "What carries the label",
            "Boruta selects features on the training rows of each fold. “Kept” says in how many folds the classifier "
            "got the feature; “confirmed” in how many Boruta was sure of it (where it confirms nothing, its undecided "
            "features are kept). “Kept in half of the folds” counts the features that were. SHAP is the mean "
            "absolute contribution to the log-odds of held-out rows, in the classifier behind the signal figures (0 in "
            "folds that did not keep the feature); that of a kernel or class is of the sum over its features. Share is "
            "its features' part of the sum of all.\n"
            "Gap is the mean contribution to positive held-out rows minus that to negative ones: what a feature does "
            "for the truth, where SHAP is what it does for the prediction. Direction is the rank correlation of a "
            "feature's contribution with its value.\n"
            "Folds share training rows, and near copies of a feature stand in for each other: one that is kept seldom "
            "may still carry the label through its neighbours. Kernels and classes are steadier.",
        ),
        "covariates": (
            "Correlation with covariates",
            "Spearman correlation of out-of-fold features with what is known of the patients, inside each "
            "manufacturer, put together by Fisher's z, with 95 % intervals; q is Benjamini-Hochberg over the method's "
            "table.\n"
            "Within manufacturer, a feature that tells the labels apart goes with everything in which they differ. "
            "Within manufacturer and label that is taken out: what is left holds among patients of one label.",
        ),
        "kernels": (
            "Kernels",
            "The filters of a method's image stage, each by its own largest absolute weight: red above 0, white 0, "
            "blue below.",
        ),
        "examples": (
            "Example images",
            "One image per manufacturer, of the same object where the data have such, and the maps with the least and "
            "the largest JSD. Grey runs from the 0.5 % to the 99.5 % quantile over the images of all manufacturers, so "
            "that a difference between pictures is one between maps.",
        ),
        "qc": (
            "Quality control",
            "Controls bound every score and are never ranked. Where one of them does not read what it must, the "
            "figures beside it are not to be believed.",
        ),
    }  # fmt: skip
