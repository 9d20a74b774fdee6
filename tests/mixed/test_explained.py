"""Explained variance, intraclass correlations and information criteria against R and by rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed.explained import icc, information_criteria, variance_explained

_FOLDER = Path(__file__).parents[1] / "reference"
_MODELS = json.loads((_FOLDER / "lmm.json").read_text(encoding="utf-8"))["models"]
_INFERENCE = json.loads((_FOLDER / "inference.json").read_text(encoding="utf-8"))
EXPLAINED = [case["id"] for case in _MODELS if case.get("r2")]
SMALL = [case["id"] for case in _MODELS if case["n"] < 10_000]
FURTHER = _INFERENCE["models"]
WEIGHTED = [case for case in _INFERENCE["weighted"] if case.get("weights")]


def numbers(found):
    return [found.r2_conditional, found.r2_marginal, found.icc_adjusted, found.icc_unadjusted]


def in_r(case):
    names = ("R2_conditional", "R2_marginal", "ICC_adjusted", "ICC_unadjusted")
    return [case[name] for name in names]


@pytest.mark.parametrize("name", EXPLAINED)
def test_shares_are_those_of_r(fitted, reference, name):
    found = variance_explained(fitted(name))
    np.testing.assert_allclose(numbers(found), in_r(reference[name]["r2"]), atol=3e-8)


@pytest.mark.parametrize("case", FURTHER, ids=lambda case: case["id"])
def test_shares_of_further_models(fit_table, case):
    model = fit_table(case["data"], case["formula"], "reml" if case["REML"] else "ml")
    found = variance_explained(model)
    np.testing.assert_allclose(numbers(found), in_r(case["r2"]), atol=1e-6)


@pytest.mark.parametrize("case", WEIGHTED, ids=lambda case: case["id"])
def test_rows_give_unweighted_means_as_in_r(tables, case):
    frame = tables(case["data"])
    frame = frame.assign(w=1.0 + np.arange(len(frame)) % 3)
    method = "reml" if case["REML"] else "ml"
    model = lmm(case["formula"], frame, method=method, sample_weight="w")
    np.testing.assert_allclose(numbers(variance_explained(model, frame)), in_r(case["r2"]),
                               atol=3e-8)  # fmt: skip


@pytest.mark.parametrize("case", _INFERENCE["performance"], ids=lambda case: case["id"])
def test_shares_of_the_package_performance(fit_table, case):
    model = fit_table(case["data"], case["formula"])
    np.testing.assert_allclose(numbers(variance_explained(model)), in_r(case), atol=1e-6)
    if max(map(len, model.cov_re_.values())) == 1:  # it takes intercepts alone of slopes
        found = icc(model)
        own = {":".join(reversed(g.split(":"))): s for g, s in zip(found["group"], found["icc"],
                                                                  strict=True)}  # fmt: skip
        by_group = case["by_group"]
        np.testing.assert_allclose([own[g] for g in by_group["group"]], by_group["ICC"], atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_information_criteria_are_those_of_lme4(fitted, reference, name):
    case, found = reference[name], information_criteria(fitted(name))
    assert (found.n_parameters, found.n_rows) == (case["npar"], case["n"])
    assert found.loglik == pytest.approx(case["logLik"], abs=1e-6)
    assert found.aic == pytest.approx(case["AIC"], abs=1e-6)
    assert found.bic == pytest.approx(case["BIC"], abs=1e-6)
    k, n = case["npar"], case["n"]
    assert found.aicc == pytest.approx(case["AIC"] + 2 * k * (k + 1) / (n - k - 1), abs=1e-6)


def test_corrected_criterion_of_too_few_rows():
    rows = np.column_stack([[0.0, 1.0, 2.0, 4.0], [5.0, 1.0, 0.0, 3.0]])
    model = LinearMixedModel(method="ml").fit(rows[:, :1], rows[:, 1])
    assert information_criteria(model).aicc == np.inf


class TestBySums:
    def test_products_give_what_rows_give(self, tables):
        frame = tables("sim_crossed")
        model = lmm("y ~ cond * x + (x || subject) + (0 + x | item)", frame)
        by_products, by_rows = variance_explained(model), variance_explained(model, frame)
        np.testing.assert_allclose(numbers(by_products), numbers(by_rows), rtol=1e-10)
        assert by_products.terms["term"].tolist() == ["subject", "subject.1", "item"]
        np.testing.assert_allclose(
            by_products.terms["variance"], by_rows.terms["variance"], rtol=1e-10
        )

    def test_weighted_products_give_weighted_means(self, frames):
        frame = frames["sleepstudy"].assign(w=np.linspace(0.2, 3.0, 180))
        model = lmm("Reaction ~ Days + (Days | Subject)", frame, sample_weight="w")
        days, w = frame["Days"].to_numpy(), frame["w"].to_numpy() / frame["w"].sum()
        centred = days - w @ days
        fixed = model.coef_[0] ** 2 * (w @ centred**2) * 180 / 179
        z = np.column_stack([np.ones(180), days])
        random = w @ np.einsum("na,ab,nb->n", z, model.cov_re_["Subject"], z)
        found = variance_explained(model)
        assert found.fixed == pytest.approx(fixed, rel=1e-10)
        assert found.random == pytest.approx(random, rel=1e-10)
        assert found.residual == model.sigma2_

    def test_factors_add_up(self, tables):
        model = lmm("y ~ x + (x || subject) + (1 | item)", tables("sim_crossed"))
        found, by_factor = variance_explained(model), icc(model)
        assert by_factor["group"].tolist() == ["subject", "item"]
        assert by_factor["variance"].sum() == pytest.approx(found.random, rel=1e-12)
        assert by_factor["icc"].sum() == pytest.approx(found.icc_adjusted, rel=1e-12)

    def test_a_random_intercept_alone_centres(self, tables):
        frame = tables("sim_corr")
        model = lmm("y ~ 0 + x + (1 | g)", frame)
        expected = model.coef_[0] ** 2 * frame["x"].var()
        assert variance_explained(model).fixed == pytest.approx(expected, rel=1e-10)

    @given(shift=st.floats(-1e4, 1e4), scale=st.floats(1e-3, 1e3))
    def test_units_of_the_columns_do_not_matter(self, tables, shift, scale):
        frame = tables("sim_corr")
        first = variance_explained(lmm("y ~ x + (x | g)", frame))
        moved = frame.assign(x=shift + scale * frame["x"], y=scale * frame["y"] - shift)
        second = variance_explained(lmm("y ~ x + (x | g)", moved))
        np.testing.assert_allclose(numbers(first), numbers(second), rtol=1e-5)

    def test_chunks_do_not_matter(self, frames):
        frame = frames["sleepstudy"]
        X, y = frame[["Days", "Subject"]], frame["Reaction"]
        whole = LinearMixedModel("(Days | Subject)").fit(X, y)
        parts = LinearMixedModel("(Days | Subject)").fit(X[:100], y[:100])
        parts.partial_fit(X[100:], y[100:])
        np.testing.assert_allclose(
            numbers(variance_explained(whole)), numbers(variance_explained(parts)), rtol=1e-7
        )


class TestEdges:
    def test_no_intercept_at_all(self, tables):
        frame = tables("sim_corr")
        model = lmm("y ~ 0 + x + (0 + x | g)", frame)
        with pytest.raises(ValueError, match=r"no intercept.*variance_explained\(model, X\)"):
            variance_explained(model)
        assert variance_explained(model, frame).fixed == pytest.approx(
            (model.coef_[0] * frame["x"]).var(), rel=1e-12
        )
        assert len(icc(model)) == 1

    def test_a_linear_model(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ Days", frame)
        found = variance_explained(model)
        assert (found.random, found.icc_adjusted, len(icc(model))) == (0.0, 0.0, 0)
        assert found.r2_marginal == found.r2_conditional == pytest.approx(0.286, abs=1e-3)

    def test_no_fixed_effects(self, frames):
        model = lmm("Yield ~ 0 + (1 | Batch)", frames["dyestuff"])
        assert variance_explained(model).r2_marginal == 0.0

    def test_aliased_columns_add_nothing(self, frames):
        frame = frames["sleepstudy"].assign(xx=2.0 * frames["sleepstudy"]["Days"])
        with pytest.warns(UserWarning, match="rank-deficient"):
            model = lmm("Reaction ~ Days + xx + (Days | Subject)", frame)
        plain = variance_explained(lmm("Reaction ~ Days + (Days | Subject)", frame))
        np.testing.assert_allclose(numbers(variance_explained(model)), numbers(plain), rtol=1e-6)

    def test_nothing_varies(self):
        X = np.arange(6.0)[:, None]
        with pytest.warns(UserWarning, match="exactly"):
            model = LinearMixedModel().fit(X, np.full(6, 2.0))
        assert np.isnan(variance_explained(model).r2_marginal)

    def test_print(self, frames):
        model = lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", frames["penicillin"])
        lines = str(variance_explained(model)).splitlines()
        assert lines[0].startswith("R2 marginal 0.0000  R2 conditional 0.9363")
        assert [line.split()[0] for line in lines[2:]] == ["fixed", "plate", "sample", "residual"]

    def test_residual_structures_are_refused(self, frames):
        frame = frames["orthodont"]
        model = lmm("distance ~ age + (1 | Subject)", frame, residual="ident(Sex)")
        for function in (variance_explained, icc):
            with pytest.raises(ValueError, match=r"residual structure \('ident\(Sex\)'\)"):
                function(model)
        assert information_criteria(model).n_parameters == 5
