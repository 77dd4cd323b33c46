"""The hearts of the phantom: anatomy, view, tissue, and the design of a cohort."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from harmbench.errors import UsageError
from harmbench_builtin.datasets.plax_phantom.anatomy import Anatomy, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.cohort import Member, Parameters, cohort, hcm_shares
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import LEVEL_DB, Tissue, draw_scatterers, draw_tissue
from harmbench_builtin.datasets.plax_phantom.view import Structure, is_myocardium, label_map

GE, PHILIPS, TOSHIBA = "GE-like", "Philips-like", "Toshiba-like"


def anatomies(diagnosis: str, effect: float, count: int = 1500) -> list[Anatomy]:
    return [draw_anatomy(diagnosis, effect, generator(1, "cohort", heart=i)) for i in range(count)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def hcm() -> list[Anatomy]:
    return anatomies("HCM", 1.0)


@pytest.fixture(scope="module")
def hhd() -> list[Anatomy]:
    return anatomies("HHD", 1.0)


def values(hearts: list[Anatomy], name: str) -> np.ndarray:
    return np.array([getattr(a, name) for a in hearts])


class TestAnatomyHasThePublishedMeans:
    # Standard errors with 1500 hearts: at most 4.1 / sqrt(1500) = 0.11 mm; the tolerances are at least three of them.
    def test_septum_of_hcm_is_19_9_with_sd_4_1(self, hcm: list[Anatomy]) -> None:
        ivs = values(hcm, "ivs_mm")
        assert ivs.mean() == pytest.approx(19.9, abs=0.4)
        assert ivs.std() == pytest.approx(4.1, abs=0.4)

    def test_septum_of_hhd_is_13_1_with_sd_0_9(self, hhd: list[Anatomy]) -> None:
        ivs = values(hhd, "ivs_mm")
        assert ivs.mean() == pytest.approx(13.1, abs=0.1)
        assert ivs.std() == pytest.approx(0.9, abs=0.1)

    def test_posterior_wall_of_hcm_is_11_3_with_sd_2_3(self, hcm: list[Anatomy]) -> None:
        lvpw = values(hcm, "lvpw_mm")
        assert lvpw.mean() == pytest.approx(11.3, abs=0.25)
        assert lvpw.std() == pytest.approx(2.3, abs=0.25)

    def test_cavity_is_47_in_hcm_and_48_in_hhd(self, hcm: list[Anatomy], hhd: list[Anatomy]) -> None:
        # Cutting the normal at 30 and 64 mm takes 3 % off both of its ends and leaves a sd near 7.4 of 8.
        assert values(hcm, "lvidd_mm").mean() == pytest.approx(47.0, abs=0.7)
        assert values(hcm, "lvidd_mm").std() == pytest.approx(7.4, abs=0.5)
        assert values(hhd, "lvidd_mm").mean() == pytest.approx(48.0, abs=0.5)
        assert values(hhd, "lvidd_mm").std() == pytest.approx(5.0, abs=0.4)

    def test_a_third_of_hcm_is_symmetric_and_a_fifth_of_hhd_is_not(
        self, hcm: list[Anatomy], hhd: list[Anatomy]
    ) -> None:
        def asymmetric(hearts: list[Anatomy]) -> float:
            return float((values(hearts, "ivs_mm") / values(hearts, "lvpw_mm") > 1.3).mean())

        assert 1 - asymmetric(hcm) == pytest.approx(0.34, abs=0.08)
        assert asymmetric(hhd) == pytest.approx(0.20, abs=0.05)

    def test_a_septum_of_13_to_16_mm_occurs_in_both(self, hcm: list[Anatomy], hhd: list[Anatomy]) -> None:
        for hearts in (hcm, hhd):
            ivs = values(hearts, "ivs_mm")
            assert ((ivs >= 13) & (ivs <= 16)).mean() > 0.1


def test_without_an_anatomy_effect_the_same_draws_give_the_same_heart_for_both_diagnoses() -> None:
    assert anatomies("HCM", 0.0, 30) == anatomies("HHD", 0.0, 30)


def test_without_a_tissue_effect_the_same_draws_give_the_same_tissue_for_both_diagnoses() -> None:
    for i in range(30):
        rng = lambda i=i: generator(1, "cohort", heart=i)  # noqa: E731 - a fresh generator of the same name each time
        assert draw_tissue("HCM", 0.0, rng()) == draw_tissue("HHD", 0.0, rng())
        assert draw_tissue("HCM", 1.0, rng()) != draw_tissue("HHD", 1.0, rng())


def test_tissue_differs_by_the_tabled_contrast() -> None:
    drawn = {
        label: [draw_tissue(label, 1.0, generator(2, "cohort", heart=i)) for i in range(400)]  # type: ignore[arg-type]
        for label in ("HHD", "HCM")
    }
    for name, difference in (("offset_db", 1.5), ("heterogeneity_db", 1.2), ("correlation_mm", 1.0)):
        means = {k: np.mean([getattr(t, name) for t in v]) for k, v in drawn.items()}
        # The same 400 draws serve both, so the difference is exact but for the floor on the heterogeneity.
        assert means["HCM"] - means["HHD"] == pytest.approx(difference, abs=0.02)
    assert np.std([t.offset_db for t in drawn["HHD"]]) == pytest.approx(1.5, abs=0.2)
    assert np.std([t.heterogeneity_db for t in drawn["HCM"]]) == pytest.approx(0.6, abs=0.1)


LEVEL_HEART = Anatomy(
    ivs_mm=16.0,
    lvpw_mm=11.0,
    lvidd_mm=46.0,
    bulge=0.3,
    bulge_at_mm=6.0,
    bulge_width_mm=28.0,
    chest_mm=17.0,
    rv_mm=21.0,
    aorta_mm=29.0,
    base_mm=31.0,
    apex_mm=66.0,
    shift_mm=0.0,
    tilt_deg=0.0,
    traced=0.8,
    waves=(((1.0, 70.0, 0.3),), ((0.8, 40.0, 1.0),)),
)


def test_the_label_map_has_the_anatomy_on_the_measurement_line() -> None:
    step = 0.05
    z = np.arange(0, 140, step, dtype=np.float32)
    line = label_map(LEVEL_HEART, np.zeros_like(z), z)
    length = {s: float((line == s).sum() * step) for s in Structure}
    assert length[Structure.CHEST] == pytest.approx(17.0, abs=0.15)
    assert length[Structure.RV] == pytest.approx(21.0, abs=0.15)
    assert length[Structure.SEPTUM] == pytest.approx(16.0, abs=0.15)
    assert length[Structure.LV] == pytest.approx(46.0, abs=0.15)
    assert length[Structure.POSTERIOR_WALL] == pytest.approx(11.0, abs=0.15)
    order = [int(line[0]), *(int(b) for a, b in itertools.pairwise(line) if a != b)]
    assert order == [
        Structure.CHEST,
        Structure.RV_WALL,
        Structure.RV,
        Structure.SEPTUM,
        Structure.LV,
        Structure.POSTERIOR_WALL,
        Structure.PERICARDIUM,
        Structure.BEHIND,
    ]


def test_the_myocardium_is_the_septum_and_the_posterior_wall_only() -> None:
    labels = np.array([int(s) for s in Structure], np.uint8)
    chosen = labels[is_myocardium(labels)]
    assert chosen.tolist() == [Structure.SEPTUM, Structure.POSTERIOR_WALL]


def test_scatterers_have_the_levels_of_their_tissue() -> None:
    even = Tissue(offset_db=2.0, heterogeneity_db=0.3, correlation_mm=3.0, attenuation_db_cm_mhz=0.5)
    s = draw_scatterers(LEVEL_HEART, even, 140.0, 0.7, np.random.default_rng(0))
    labels = label_map(LEVEL_HEART, s.range_mm * np.sin(s.angle), s.range_mm * np.cos(s.angle))
    power = {k: 10 * np.log10(np.mean(s.amplitude[labels == k] ** 2)) for k in (Structure.SEPTUM, Structure.LV)}
    assert power[Structure.SEPTUM] == pytest.approx(2.0, abs=0.6)
    # The raster of 0.5 mm lets a little of the wall into the cavity's edge, and unevenness of 3 dB adds 1 dB.
    inside = (labels == Structure.LV) & (np.abs(s.range_mm * np.cos(s.angle) - 81.0) < 15)
    inside &= np.abs(s.range_mm * np.sin(s.angle)) < 10
    assert 10 * np.log10(np.mean(s.amplitude[inside] ** 2)) == pytest.approx(LEVEL_DB[Structure.LV] + 1.2, abs=1.5)


class TestCohort:
    def counts(self, **parameters: object) -> Counter[tuple[str, str]]:
        return Counter((m.manufacturer, m.label) for m in cohort(Parameters.of(parameters)))

    def test_default_is_160_to_40_with_half_hcm_on_each(self) -> None:
        assert self.counts() == {(GE, "HHD"): 80, (GE, "HCM"): 80, (PHILIPS, "HHD"): 20, (PHILIPS, "HCM"): 20}

    def test_prevalence_holds_on_each_scanner(self) -> None:
        found = self.counts(patients=100, prevalence=0.3)
        assert found == {(GE, "HHD"): 56, (GE, "HCM"): 24, (PHILIPS, "HHD"): 14, (PHILIPS, "HCM"): 6}

    def test_confounding_of_0_8_makes_nine_to_one_and_one_to_nine(self) -> None:
        found = self.counts(confounding=0.8)
        assert found == {(GE, "HHD"): 16, (GE, "HCM"): 144, (PHILIPS, "HHD"): 36, (PHILIPS, "HCM"): 4}

    def test_confounding_is_scaled_so_that_no_share_reaches_0_or_1(self) -> None:
        shares = hcm_shares(Parameters(prevalence=0.3, confounding=0.9, third_scanner=True))
        assert shares == pytest.approx({GE: 0.57, PHILIPS: 0.03, TOSHIBA: 0.3})

    def test_a_third_scanner_gets_as_many_as_the_second(self) -> None:
        found = Counter(m.manufacturer for m in cohort(Parameters(patients=120, third_scanner=True)))
        assert found == {GE: 80, PHILIPS: 20, TOSHIBA: 20}

    @pytest.mark.parametrize("third", [False, True])
    def test_a_smaller_cohort_is_the_beginning_of_a_larger_one(self, third: bool) -> None:
        many = cohort(Parameters(patients=200, third_scanner=third, confounding=0.5))
        assert cohort(Parameters(patients=90, third_scanner=third, confounding=0.5)) == many[:90]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("patients", 3, "from 4 to 100000"),
        ("patients", 20.5, "a whole number"),
        ("patients", "many", "a whole number"),
        ("patients", True, "a whole number"),
        ("ratio", 0, "from 0.05 to 20"),
        ("prevalence", 1.0, "from 0.05 to 0.95"),
        ("confounding", 1.0, "at least 0 and below 1"),
        ("confounding", float("nan"), "at least 0 and below 1"),
        ("tissue_effect", -0.1, "from 0 to 3"),
        ("anatomy_effect", 1.1, "from 0 to 1"),
        ("manufacturer_effect", 2, "from 0 to 1"),
        ("size", 32, "from 64 to 1024"),
        ("seed", -1, "from 0 to"),
        ("third_scanner", "yes", "true or false"),
        ("paired", 300, "from 0 to patients (200)"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(name: str, value: object, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        Parameters.of({name: value})
    assert name in str(caught.value)
    assert allowed in str(caught.value)


def test_an_unknown_parameter_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'tissue_effect'"):
        Parameters.of({"tisue_effect": 1.0})


def test_confounding_that_would_be_perfect_in_a_small_cohort_is_refused() -> None:
    with pytest.raises(UsageError, match="one diagnosis only among the GE-like hearts"):
        Parameters(patients=10, paired=0, confounding=0.9)


def test_the_two_streams_never_share_a_generator() -> None:
    cohort_words = generator(0, "cohort", heart=3, stage="tissue").bit_generator.seed_seq.entropy  # type: ignore[attr-defined]
    virtual_words = generator(0, "virtual", heart=3, stage="tissue").bit_generator.seed_seq.entropy  # type: ignore[attr-defined]
    assert cohort_words[1:] == virtual_words[1:]
    assert cohort_words[0] != virtual_words[0]


def test_a_heart_with_the_thickest_walls_still_fits_the_window() -> None:
    huge = replace(LEVEL_HEART, ivs_mm=33.0, lvpw_mm=16.0, lvidd_mm=60.0, chest_mm=24.0, rv_mm=28.0)
    z = np.arange(0, 140, 0.1, dtype=np.float32)
    line = label_map(huge, np.zeros_like(z), z)
    assert z[line == Structure.POSTERIOR_WALL].max() < 131
    assert (line == Structure.POSTERIOR_WALL).sum() * 0.1 == pytest.approx(16.0, abs=0.3)


def test_members_know_their_patient() -> None:
    assert Member(7, "HCM", GE).patient == "heart-00007"
