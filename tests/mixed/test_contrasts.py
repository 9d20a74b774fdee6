"""Contrasts of fixed effects and the adjustment of families of them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed._joint_distributions import LargestDeviation, StudentizedRange
from lmmfit.mixed.contrasts import contrast, is_estimable
from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.multiplicity import METHODS, adjust_p_values, choose_adjustment

SIMULTANEOUS = ("none", "bonferroni", "sidak", "tukey", "scheffe", "mvt")
LOW, HIGH = "Treatment[T.Low]", "Treatment[T.High]"
DOSES = {"low": {LOW: 1}, "high": {HIGH: 1}, "high vs low": {HIGH: 1, LOW: -1}}


def pairwise(m):
    pairs = [(i, j) for i in range(m) for j in range(i + 1, m)]
    return np.array([np.eye(m)[i] - np.eye(m)[j] for i, j in pairs])


@pytest.fixture(scope="module")
def pups(frames):
    return lmm("weight ~ Treatment + sex + Lsize + (1 | Litter)", frames["ratpup"])


@pytest.fixture(scope="module")
def dependent(frames):
    """Hours are 24 * Days + 5: one of the columns is dropped."""
    frame = frames["sleepstudy"].assign(
        hours=24.0 * frames["sleepstudy"]["Days"] + 5.0, z=np.arange(180) % 7
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lmm("Reaction ~ Days + z + hours + (1 | Subject)", frame)


class TestContrast:
    def test_by_numpy(self, pups):
        L = np.array([[0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.5, 12.0]])
        table = contrast(pups, L, ddf="normal", level=0.9)
        fit = pups.result_
        error = np.sqrt(np.diag(L @ fit.beta_covariance @ L.T))
        np.testing.assert_allclose(table["estimate"], L @ fit.beta)
        np.testing.assert_allclose(table["std_error"], error)
        np.testing.assert_allclose(table["statistic"], L @ fit.beta / error)
        np.testing.assert_allclose(
            table["p_value"], 2.0 * stats.norm.sf(np.abs(L @ fit.beta / error)), rtol=1e-10
        )
        np.testing.assert_allclose(table["upper"], L @ fit.beta + stats.norm.ppf(0.95) * error)

    @pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
    def test_small_samples(self, pups, ddf):
        table, small = contrast(pups, DOSES, ddf=ddf), small_sample(pups, ddf)
        L = np.array([[0.0, 1.0, 0, 0, 0], [0, 0, 1.0, 0, 0], [0, -1.0, 1.0, 0, 0]])
        np.testing.assert_allclose(table["df"], small.df(L))
        np.testing.assert_allclose(
            table["std_error"], np.sqrt(np.diag(L @ small.covariance @ L.T))
        )
        t = table["estimate"] / table["std_error"]
        np.testing.assert_allclose(table["p_value"], 2.0 * stats.t.sf(np.abs(t), table["df"]))

    def test_ways_to_write_a_contrast(self, pups):
        rows = [[0, 0, 1, 0, 0], [0, -1, 1, 0, 0]]
        expected = contrast(pups, rows)["estimate"]
        many = contrast(pups, {"a": {HIGH: 1}, "b": rows[1]})
        np.testing.assert_array_equal(many["estimate"], expected)
        assert many["name"].tolist() == ["a", "b"]
        one = contrast(pups, {HIGH: 1, LOW: -1})
        assert one["name"].tolist() == [f"-{LOW} + {HIGH}"]
        assert one["estimate"] == expected[1]
        assert contrast(pups, rows[1], names="dose")["name"].tolist() == ["dose"]
        half = contrast(pups, {LOW: 0.5, "Lsize": -2})
        assert half["name"].tolist() == [f"0.5 * {LOW} - 2 * Lsize"]

    def test_hypotheses_other_than_zero(self, pups):
        plain, moved = contrast(pups, DOSES), contrast(pups, DOSES, rhs=[-0.4, -0.8, 0.0])
        np.testing.assert_array_equal(moved["estimate"], plain["estimate"])
        np.testing.assert_array_equal(moved["upper"], plain["upper"])
        np.testing.assert_allclose(
            moved["statistic"], (plain["estimate"] + [0.4, 0.8, 0.0]) / plain["std_error"]
        )

    @pytest.mark.parametrize("adjust", SIMULTANEOUS)
    def test_limits_are_where_the_p_value_is_one_minus_the_level(self, pups, adjust):
        table = contrast(pups, DOSES, adjust=adjust, level=0.9)
        for side in ("lower", "upper"):
            at = contrast(pups, DOSES, adjust=adjust, rhs=table[side])
            np.testing.assert_allclose(at["p_value"], 0.1, atol=1e-7)

    @pytest.mark.parametrize("adjust", ["holm", "fdr"])
    def test_stepwise_methods_leave_the_limits(self, pups, adjust):
        plain, table = contrast(pups, DOSES), contrast(pups, DOSES, adjust=adjust)
        np.testing.assert_array_equal(table["lower"], plain["lower"])
        assert (table["p_value"] >= plain["p_value"]).all()

    def test_methods_are_ordered(self, pups):
        p = {adjust: contrast(pups, DOSES, adjust=adjust)["p_value"] for adjust in METHODS}
        assert (p["none"] <= p["mvt"]).all()
        assert (p["mvt"] <= p["tukey"] + 2e-4).all()
        assert (p["tukey"] <= p["sidak"]).all()
        assert (p["sidak"] <= p["bonferroni"]).all()
        assert (p["holm"] <= p["bonferroni"]).all()
        assert (p["tukey"] <= p["scheffe"]).all()

    @pytest.mark.parametrize("adjust", METHODS)
    def test_one_contrast_needs_no_adjustment(self, pups, adjust):
        plain = contrast(pups, {"Lsize": 1})
        table = contrast(pups, {"Lsize": 1}, adjust=adjust)
        for name in ("p_value", "lower", "upper"):
            np.testing.assert_allclose(table[name], plain[name], rtol=1e-8)

    def test_scheffe_is_the_joint_test_in_its_worst_direction(self, pups):
        L = np.array([[0, 1.0, 0, 0, 0], [0, 0, 1.0, 0, 0]])
        worst = np.linalg.solve(L @ pups.result_.beta_covariance @ L.T, L @ pups.result_.beta)
        expected = stats.chi2.sf(worst @ L @ pups.result_.beta, 2)
        rows = np.vstack([worst @ L, L])
        table = contrast(pups, rows, ddf="normal", adjust="scheffe")
        assert table["p_value"][0] == pytest.approx(expected, rel=1e-8)
        assert table["p_value"].argmin() == 0

    @pytest.mark.filterwarnings("ignore:the fixed effects fit the response exactly:UserWarning")
    @pytest.mark.parametrize("adjust", ["none", "mvt", "scheffe", "holm"])
    def test_an_exact_fit(self, adjust):
        x = np.arange(20.0)
        data = np.column_stack([x, np.repeat(np.arange(5.0), 4)])
        model = LinearMixedModel(random="(1 | x1)").fit(data, 3.0 * x)
        table = contrast(model, [[0.0, 1.0], [1.0, 0.0]], adjust=adjust)
        assert table["estimate"] == pytest.approx([3.0, 0.0], abs=1e-9)
        assert (table["std_error"] == 0.0).all()


class TestBadInput:
    @pytest.mark.parametrize(
        ("L", "options", "message"),
        [
            ([1.0, 2.0], {}, r"shape \(k, 5\).*got \(1, 2\)"),
            ([[0.0] * 5], {}, "row 0 of L is .* not all 0"),
            ([[np.nan, 0, 0, 0, 0]], {}, "weights must be finite"),
            ([[1.0], [1.0, 2.0]], {}, "rows of equal length"),
            ({}, {}, "L is empty"),
            ({"Treatment": 1}, {}, "'Treatment' is no fixed effect"),
            ({"a": {"dose": 1}}, {}, "'dose' is no fixed effect"),
            ({LOW: 1}, {"names": ["a", "b"]}, "one name for each of the 1 rows"),
            ({LOW: 1}, {"rhs": [1.0, 2.0]}, r"rhs must be a number or 1 numbers.*\(2,\)"),
            ({LOW: 1}, {"level": 95}, "level must lie between 0 and 1, got 95"),
            ({LOW: 1}, {"adjust": "dunnett"}, "adjust must be one of .* got 'dunnett'"),
            ({LOW: 1}, {"ddf": "exact"}, "ddf must be one of .* got 'exact'"),
            ({"a": {LOW: 1}, "b": {HIGH: 1}}, {"adjust": "tukey"}, "pairwise.*Use adjust='mvt'"),
        ],
    )
    def test_contrast(self, pups, L, options, message):
        with pytest.raises(ValueError, match=message):
            contrast(pups, L, **options)

    @pytest.mark.parametrize(
        ("p", "method", "message"),
        [
            ([0.1], "mvt", "need more than the p-values"),
            ([0.1, 1.1], "holm", "that at 1 is 1.1"),
            ([[0.1]], "holm", r"shape \(k,\), got \(1, 1\)"),
        ],
    )
    def test_p_values(self, p, method, message):
        with pytest.raises(ValueError, match=message):
            adjust_p_values(p, method)


class TestAliased:
    def test_what_is_not_determined_is_refused(self, dependent):
        assert dependent.aliased_ == ["hours"]
        for effects in ({"hours": 1}, {"Days": 1}, {"(Intercept)": 1}, {"Days": 1, "hours": 20}):
            with pytest.raises(ValueError, match=r"not estimable.*\['hours'\] were dropped"):
                contrast(dependent, {"c": effects})

    def test_what_is_determined_is_estimated(self, dependent, frames):
        alone = lmm(
            "Reaction ~ Days + z + (1 | Subject)",
            frames["sleepstudy"].assign(z=np.arange(180) % 7),
        )
        names = ("estimate", "std_error", "df")
        both, one = contrast(dependent, {"z": 1}), contrast(alone, {"z": 1})
        np.testing.assert_allclose([both[n] for n in names], [one[n] for n in names], rtol=1e-6)
        # A day has 24 hours, and at day 0 there are 5.
        both = contrast(dependent, {"Days": 2, "hours": 48})
        one = contrast(alone, {"Days": 2})
        np.testing.assert_allclose([both[n] for n in names], [one[n] for n in names], rtol=1e-6)
        assert is_estimable(
            dependent, np.array([[1.0, 0.0, 0.0, 5.0], [1, 0, 0, 6]])
        ).tolist() == [
            True,
            False,
        ]


class TestPValues:
    @given(
        p=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
        method=st.sampled_from(["bonferroni", "sidak", "holm", "fdr"]),
    )
    def test_by_statsmodels(self, p, method):
        names = {"bonferroni": "bonferroni", "sidak": "sidak", "holm": "holm", "fdr": "fdr_bh"}
        with np.errstate(divide="ignore"):
            expected = multipletests(p, method=names[method])[1]
        np.testing.assert_allclose(adjust_p_values(p, method), expected, rtol=1e-9, atol=1e-12)

    def test_missing_ones_do_not_count(self):
        adjusted = adjust_p_values([0.01, np.nan, 0.02], "bonferroni")
        np.testing.assert_array_equal(adjusted, [0.02, np.nan, 0.04])

    def test_small_ones_keep_their_digits(self):
        np.testing.assert_allclose(adjust_p_values([1e-30, 1e-25], "sidak"), [2e-30, 2e-25])


class TestJointDistributions:
    @pytest.mark.parametrize("m", [2, 3, 5, 12])
    @pytest.mark.parametrize("df", [1.0, 4.2, 30.0, 9e4, np.inf])
    def test_studentized_range(self, m, df):
        for q in (0.5, 3.0, 6.0):
            expected = stats.studentized_range.sf(q, m, df)
            found = StudentizedRange(m).survival(q / np.sqrt(2.0), df)
            assert found == pytest.approx(expected, abs=1e-8)

    def test_many_means(self):
        found = StudentizedRange(200).survival(5.0 / np.sqrt(2.0), np.inf)
        assert found == pytest.approx(stats.studentized_range.sf(5.0, 200, np.inf), abs=1e-6)

    @pytest.mark.parametrize(("m", "tolerance"), [(2, 1e-9), (3, 1e-8), (4, 1e-4), (8, 1e-4)])
    def test_differences_of_independent_means(self, m, tolerance):
        L = pairwise(m)
        joint = LargestDeviation.of(L @ L.T / 2.0)
        assert joint.rank == m - 1
        for df in (3.3, 25.0, np.inf):
            for c in (0.7, 2.0, 3.5):
                expected = StudentizedRange(m).survival(c, df)
                assert joint.survival(c, df) == pytest.approx(expected, abs=tolerance)

    @pytest.mark.parametrize("k", [1, 2, 3, 6])
    def test_independent_normal_numbers(self, k):
        joint = LargestDeviation.of(np.eye(k))
        for c in (0.5, 2.0, 4.0):
            expected = -np.expm1(k * np.log1p(-2.0 * stats.norm.sf(c)))
            assert joint.survival(c, np.inf) == pytest.approx(expected, abs=1e-4)

    def test_by_simulation(self):
        rng = np.random.default_rng(1)
        root = rng.normal(size=(5, 4))
        root /= np.linalg.norm(root, axis=1)[:, None]
        joint, df, n = LargestDeviation.of(root @ root.T), 7.0, 400_000
        scale = np.sqrt(rng.chisquare(df, n) / df)
        largest = np.abs(rng.normal(size=(n, 4)) @ root.T).max(axis=1) / scale
        for c in (1.0, 2.5):
            assert joint.survival(c, df) == pytest.approx(np.mean(largest > c), abs=3e-3)

    def test_the_same_each_time(self):
        correlation = 0.5 + 0.5 * np.eye(5)
        first, second = (LargestDeviation.of(correlation).survival(2.0, 9.0) for _ in range(2))
        assert first == second

    @given(m=st.integers(2, 7), seed=st.integers(0, 1000))
    def test_pairwise_differences_are_found(self, m, seed):
        rng = np.random.default_rng(seed)
        L = pairwise(m) @ rng.normal(size=(m, m + 2))
        L = rng.permutation(L) * rng.choice([-1.0, 1.0], size=(len(L), 1))
        chosen = choose_adjustment("tukey", L, L @ L.T)
        assert chosen.distribution.n_means == m

    @pytest.mark.parametrize("k", [2, 3, 4, 6])
    def test_other_families_are_no_pairwise_differences(self, k):
        with pytest.raises(ValueError, match="pairwise"):
            choose_adjustment("tukey", np.eye(k), np.eye(k))
