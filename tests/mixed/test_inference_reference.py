"""Inference beside R: lmerTest's and pbkrtest's degrees of freedom, anova tables, contests."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed import (
    anova,
    block_likelihood,
    coefficient_table,
    sensitivity,
    small_sample,
    variance_table,
)
from lmmfit.mixed.sensitivity import Sensitivity

_ROOT = Path(__file__).parents[1] / "reference"
_PLAIN = json.loads((_ROOT / "lmm.json").read_text(encoding="utf-8"))["models"]
_MORE = json.loads((_ROOT / "inference.json").read_text(encoding="utf-8"))
_DDF = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger"}
WITH_DF = [case["id"] for case in _PLAIN if "satterthwaite" in case]
WITH_KR = [case["id"] for case in _PLAIN if "kenward_roger" in case]
MORE = {case["id"]: case for case in _MORE["models"]}
ANOVA = {case["id"]: case for case in _MORE["anova"]}
CONTESTS = {case["id"]: case for case in _MORE["contests"]}
COMPARISONS = {case["id"]: case for case in _MORE["comparisons"]}


def _method(case):
    return "reml" if case["REML"] else "ml"


def _check_satterthwaite(model, wanted):
    table = coefficient_table(model)
    np.testing.assert_allclose(table["df"], wanted["df"], rtol=1e-4)
    np.testing.assert_allclose(table["statistic"], wanted["t"], rtol=1e-4)
    np.testing.assert_allclose(table["p_value"], wanted["p"], rtol=1e-3, atol=1e-300)


def _check_kenward_roger(model, wanted):
    table = coefficient_table(model, ddf="kenward-roger")
    np.testing.assert_allclose(table["df"], wanted["df"], rtol=1e-4)
    np.testing.assert_allclose(table["std_error"], wanted["se"], rtol=1e-5)
    found = small_sample(model, "kenward-roger").covariance
    scale = np.outer(wanted["se"], wanted["se"])
    assert np.abs((found - np.array(wanted["vcov_adj"])) / scale).max() < 1e-4


@pytest.mark.parametrize("name", WITH_DF)
def test_satterthwaite(fitted, reference, name):
    _check_satterthwaite(fitted(name), reference[name]["satterthwaite"])


@pytest.mark.parametrize("name", WITH_KR)
def test_kenward_roger(fitted, reference, name):
    _check_kenward_roger(fitted(name), reference[name]["kenward_roger"])


@pytest.mark.parametrize("name", MORE)
class TestMoreModels:
    def test_fit(self, fit_table, name):
        case = MORE[name]
        model = fit_table(case["data"], case["formula"], _method(case))
        assert model.converged_
        assert model.deviance_ == pytest.approx(case["objective"], abs=1e-6)
        np.testing.assert_allclose(
            model.fixed_effects_["estimate"], case["beta"], rtol=1e-5, atol=1e-7
        )
        np.testing.assert_allclose(model.fixed_effects_["std_error"], case["se"], rtol=1e-5)
        assert np.sqrt(model.sigma2_) == pytest.approx(case["sigma"], rel=1e-5)
        assert model.singular_ == case["singular"]

    def test_standard_deviations(self, fit_table, name):
        case = MORE[name]
        model = fit_table(case["data"], case["formula"], _method(case))
        found = sorted(sd for cov in model.cov_re_.values() for sd in np.sqrt(np.diag(cov)))
        wanted = sorted(sd for term in case["varcorr"] for sd in term["sd"])
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * max(wanted))

    def test_degrees_of_freedom(self, fit_table, name):
        case = MORE[name]
        model = fit_table(case["data"], case["formula"], _method(case))
        if "satterthwaite" in case and not case["singular"]:
            _check_satterthwaite(model, case["satterthwaite"])
        if "kenward_roger" in case and not case["singular"]:
            _check_kenward_roger(model, case["kenward_roger"])


@pytest.mark.parametrize("name", ANOVA)
def test_anova_tables(fit_table, name):
    case = ANOVA[name]
    model = fit_table(case["data"], case["formula"], _method(case))
    for table in case["tables"]:
        if (name, table["type"], table["ddf"]) == ("oats_factor", 1, "Satterthwaite"):
            continue  # see the test of the split-plot table below
        found = anova(model, type=table["type"], ddf=_DDF[table["ddf"]])
        assert [term.replace(" ", "") for term in found["term"]] == table["terms"]
        for column, key in (
            ("sum_sq", "SumSq"), ("mean_sq", "MeanSq"), ("num_df", "NumDF"),
            ("den_df", "DenDF"), ("f_value", "F"),
        ):  # fmt: skip
            np.testing.assert_allclose(
                found[column], table[key], rtol=1e-4, err_msg=f"{table['type']} {table['ddf']}"
            )
        np.testing.assert_allclose(found["p_value"], table["p"], rtol=2e-3, atol=1e-30)


def test_sequential_table_of_a_balanced_split_plot(fit_table):
    """The sums of squares of Yates (1935); lmerTest 3.1-3 says 384.26 for the interaction."""
    model = fit_table("Oats", "yield ~ nf * Variety + (1 | Block/Variety)")
    for type in (1, 2, 3):
        for ddf in _DDF.values():
            found = anova(model, type=type, ddf=ddf)
            np.testing.assert_allclose(
                found["sum_sq"], [20020.5, 526.058051330823, 321.75], rtol=1e-5
            )
            np.testing.assert_allclose(found["den_df"], [45.0, 10.0, 45.0], rtol=1e-5)


@pytest.mark.parametrize("name", CONTESTS)
def test_joint_tests(fit_table, name):
    case = CONTESTS[name]
    model = fit_table(case["data"], case["formula"], _method(case))
    for test in case["joint"]:
        found = small_sample(model, _DDF[test["ddf"]]).f_test(test["L"])
        assert found.num_df == test["NumDF"]
        assert found.den_df == pytest.approx(test["DenDF"], rel=1e-4)
        assert found.statistic == pytest.approx(test["F value"], rel=1e-4)


@pytest.mark.parametrize("name", COMPARISONS)
def test_likelihood_ratio_comparison(fit_table, name):
    case = COMPARISONS[name]
    models = [fit_table(case["data"], formula) for formula in case["formulas"]]
    found = anova(*reversed(models))
    assert "refitted by maximum likelihood" in str(found)
    np.testing.assert_array_equal(found["n_parameters"], case["npar"])
    for column, key in (
        ("aic", "AIC"), ("bic", "BIC"), ("loglik", "logLik"), ("deviance", "deviance"),
    ):  # fmt: skip
        np.testing.assert_allclose(found[column], case[key], rtol=0, atol=2e-6)
    np.testing.assert_allclose(found["chisq"][1:], case["Chisq"][1:], atol=2e-6)
    np.testing.assert_allclose(found["p_value"][1:], case["p"][1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("table", "formula"),
    [
        ("sim_crossed", "y ~ cond * x + (1 + x | subject) + (1 + x | item)"),
        ("sim_nested", "y ~ x * f + (1 | a/b) + (1 | c)"),
        ("Machines", "score ~ Machine + (1 | Worker/Machine)"),
    ],
)
def test_traces_without_the_matrix(fit_table, monkeypatch, table, formula):
    """Where T is too large to be made, its traces come from differences of its block sums."""
    fit = fit_table(table, formula).result_
    size = len(fit.statistics.layout.random)
    directions = []
    for start, stop in fit.statistics.layout.blocks:
        for a in range(start, stop):
            for b in range(a, stop):
                axis = np.zeros(size)
                axis[[a, b]] = 1.0
                directions.append(np.outer(axis, axis))
    wanted = Sensitivity(fit).traces(directions)
    monkeypatch.setattr(sensitivity, "_DENSE", 0)
    found = Sensitivity(fit).traces(directions)
    scale = np.sqrt(np.outer(wanted.diagonal(), wanted.diagonal()))
    np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-6)


class TestBadInput:
    def test_no_model(self):
        with pytest.raises(TypeError, match="a fitted LinearMixedModel is needed, got 'model'"):
            anova("model")
        with pytest.raises(ValueError, match="not fitted yet: call fit first"):
            anova(LinearMixedModel("(1 | g)"))

    def test_many_responses(self, frames):
        frame = frames["sleepstudy"]
        both = np.column_stack([frame["Reaction"], np.log(frame["Reaction"])])
        model = LinearMixedModel("(1 | Subject)").fit(frame[["Days", "Subject"]], both)
        for call in (anova, coefficient_table, small_sample, variance_table):
            with pytest.raises(ValueError, match=r"2 responses: take one by model.response\(0\)"):
                call(model)
        assert len(anova(model.response(1))) == 1

    def test_words(self, fit_table):
        model = fit_table("Machines", "score ~ Machine + (1 | Worker)")
        with pytest.raises(ValueError, match="type must be 1, 2 or 3, got 4"):
            anova(model, type=4)
        with pytest.raises(ValueError, match=r"ddf must be one of .satterthwaite.*got .KR"):
            anova(model, ddf="KR")
        smaller = lmm("score ~ Machine + (1 | Worker)", _fifty_rows())
        with pytest.raises(ValueError, match=r"same rows; theirs are \[54, 50\]"):
            anova(model, smaller)

    def test_kenward_roger_is_of_reml(self, fit_table):
        model = fit_table("Machines", "score ~ Machine + (1 | Worker)", "ml")
        with pytest.raises(ValueError, match="Kenward-Roger needs a REML fit"):
            small_sample(model, "kenward-roger")

    def test_other_responses(self, frames):
        frame = frames["machines"]
        one = lmm("score ~ Machine + (1 | Worker)", frame)
        other = lmm("score ~ Machine + (1 | Worker)", frame.assign(score=frame.score**2))
        with pytest.raises(ValueError, match="the same response"):
            anova(one, other)


def _fifty_rows():
    """The first fifty rows of Machines."""
    from lmmfit.datasets import load_machines

    return load_machines(as_frame=True).frame.head(50)


class TestUnits:
    """Degrees of freedom do not depend on where a covariate is zero, nor on its unit."""

    def _data(self):
        rng = np.random.default_rng(3)
        a, b = np.arange(240) % 20, rng.integers(0, 8, 240)
        year = rng.integers(1995, 2021, 240)
        wv, t = rng.normal(size=20)[a], (year - 2008) / 7
        y = 1 + t + rng.normal(size=20)[a] + 0.6 * rng.normal(size=20)[a] * t
        y = y + 0.5 * rng.normal(size=8)[b] + rng.normal(size=240)
        return pandas.DataFrame({"y": y, "t": t, "a": a, "b": b, "wv": wv})

    @pytest.mark.parametrize("random", ["(t | a)", "(t | a) + (1 | b)"])
    @pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, 0.0), (7.0, 2008.0)])
    def test_satterthwaite(self, random, factor, offset):
        frame = self._data()
        moved = frame.assign(t=factor * frame.t + offset)
        one, other = (
            small_sample(lmm(f"y ~ t + wv + {random}", own)).df(np.eye(3)[1:])
            for own in (frame, moved)
        )
        np.testing.assert_allclose(other, one, rtol=1e-3)

    @pytest.mark.parametrize("noise", [1.0, 1e-2, 1e-3])
    def test_small_residuals_leave_the_groups_degrees_of_freedom(self, noise):
        rng = np.random.default_rng(0)
        a = np.arange(240) % 20
        wv = rng.normal(size=20)[a]
        y = 1 + rng.normal(size=20)[a] + noise * rng.normal(size=240)
        model = lmm("y ~ wv + (1 | a)", pandas.DataFrame({"y": y, "wv": wv, "a": a}))
        for ddf in _DDF.values():
            np.testing.assert_allclose(small_sample(model, ddf).df(np.eye(2)), 18.0, rtol=1e-3)

    @pytest.mark.parametrize("noise", [1e-3, 1e-4])
    def test_small_residuals_of_crossed_factors(self, noise, monkeypatch):
        rng = np.random.default_rng(1)
        a, b, x = rng.integers(0, 6, 40), rng.integers(0, 5, 40), rng.normal(size=40)
        y = 1 + x + rng.normal(size=6)[a] + rng.normal(size=5)[b] + noise * rng.normal(size=40)
        frame = pandas.DataFrame({"x": x, "a": a, "b": b, "y": y})
        found = []
        for small in (48, -1):
            monkeypatch.setattr(block_likelihood, "_SMALL", small)
            found.append(lmm("y ~ x + (1 | a) + (1 | b)", frame))
        wanted = {1e-3: -270.81283170, 1e-4: -404.36390565}[noise]  # lme4 1.1-31
        for model in found:
            assert model.converged_
            assert model.deviance_ == pytest.approx(wanted, abs=1e-4)


def test_dropped_terms_are_left_out(frames):
    frame = frames["sleepstudy"].assign(twice=lambda data: 2.0 * data.Days)
    with pytest.warns(UserWarning, match="rank-deficient"):
        model = lmm("Reaction ~ Days + twice + (1 | Subject)", frame)
    for type in (1, 2, "II"):
        assert anova(model, type=type)["term"].tolist() == ["Days"]
    with pytest.raises(ValueError, match=r"type 3 needs every fixed effect, and .'twice'."):
        anova(model)


def test_models_with_and_without_intercept_are_compared(frames):
    frame = frames["sleepstudy"]
    one = lmm("Reaction ~ 0 + Days + (1 | Subject)", frame)
    other = lmm("Reaction ~ Days + (1 | Subject)", frame)
    assert anova(one, other)["df"].tolist() == ["", 1]


def test_levels_with_brackets_and_colons(frames):
    frame = frames["machines"].assign(
        Machine=frames["machines"]["Machine"]
        .astype(str)
        .map({"A": "<5)", "B": "[:]", "C": "a:b"}),
        half=np.where(np.arange(54) % 2, "x]", "(y"),
    )
    plain = frames["machines"].assign(half=np.where(np.arange(54) % 2, "q", "p"))
    formula = "score ~ Machine * half + (1 | Worker)"
    for type in (1, 2, 3):
        one, other = (anova(lmm(formula, own), type=type) for own in (frame, plain))
        np.testing.assert_allclose(one["f_value"], other["f_value"], rtol=1e-6)
