"""Fits of lme4, remade through ``lmm``: criterion, estimates, errors, modes, predictions."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from lmmfit import lmm

_CONTENT = json.loads(
    (Path(__file__).parents[1] / "reference" / "lmm.json").read_text(encoding="utf-8")
)
MODELS = [case["id"] for case in _CONTENT["models"]]

# Names that formulaic gives to what R calls MachineB or TreatmentLow:sexFemale.
_CATEGORICAL = ("Machine", "Sex", "sex", "Treatment", "service")


def _name_in_r(name):
    for column in _CATEGORICAL:
        name = name.replace(f"{column}[T.", column).replace(f"C({column})[T.", column)
    return name.replace("]", "")


def _group_in_r(key):
    """``batch:cask`` is ``cask:batch`` there: the inner factor comes first."""
    return ":".join(reversed(key.split(":"))) if ":" in key else key


def _find_levels(term, labels):
    """Positions of R's levels, whose parts are in R's order."""
    own = [_group_in_r(str(level)) for level in term.levels]
    return [own.index(label) for label in labels]


def _standard_deviations(model):
    return np.concatenate([np.sqrt(np.diag(cov)) for cov in model.cov_re_.values()])


def test_all_models_are_there():
    assert len(MODELS) == 30
    assert len(_CONTENT["extra"]) == 6


@pytest.mark.parametrize("name", MODELS)
class TestModels:
    def test_criterion(self, fitted, reference, name):
        model, case = fitted(name), reference[name]
        assert model.converged_
        assert model.deviance_ == pytest.approx(case["objective"], abs=1e-6)
        assert model.loglik_ == pytest.approx(case["logLik"], abs=1e-6)
        assert model.result_.n_parameters == case["npar"]

    def test_information_criteria(self, fitted, reference, name):
        case, criteria = reference[name], fitted(name).summary().criteria
        assert criteria["AIC"] == pytest.approx(case["AIC"], abs=1e-6)
        assert criteria["BIC"] == pytest.approx(case["BIC"], abs=1e-6)

    def test_fixed_effects(self, fitted, reference, name):
        model, case = fitted(name), reference[name]
        assert [_name_in_r(n) for n in model.fixed_effects_["name"]] == case["beta_names"]
        np.testing.assert_allclose(model.fixed_effects_["estimate"], case["beta"], rtol=1e-5)
        np.testing.assert_allclose(model.fixed_effects_["std_error"], case["se"], rtol=1e-5)
        scale = np.outer(case["se"], case["se"])
        difference = model.result_.beta_covariance - np.array(case["vcov_beta"])
        assert np.abs(difference / scale).max() < 2e-5

    def test_variances(self, fitted, reference, name):
        model, case = fitted(name), reference[name]
        assert np.sqrt(model.sigma2_) == pytest.approx(case["sigma"], rel=1e-5)
        assert [_group_in_r(key) for key in model.cov_re_] == [
            term["group"] for term in case["varcorr"]
        ]
        sd = np.concatenate([term["sd"] for term in case["varcorr"]])
        np.testing.assert_allclose(_standard_deviations(model), sd, rtol=1e-5, atol=1e-9)
        for term, cov in zip(case["varcorr"], model.cov_re_.values(), strict=True):
            own = np.outer(term["sd"], term["sd"])
            np.testing.assert_allclose(cov, term["cov"], rtol=0, atol=2e-5 * own.max() + 1e-9)

    def test_theta(self, fitted, reference, name):
        theta = reference[name]["theta"]
        np.testing.assert_allclose(fitted(name).theta_, theta, rtol=1e-5, atol=1e-6)

    def test_singular(self, fitted, reference, name):
        assert fitted(name).singular_ == reference[name]["singular"]

    def test_conditional_modes(self, fitted, reference, name):
        model, case = fitted(name), reference[name]
        terms = list(model.random_effects_.values())
        for expected in case["ranef_head"]:
            own = [term for term in terms if _group_in_r(term.group) == expected["group"]]
            effects = [effect for term in own for effect in term.names]
            assert effects == expected["columns"]  # lme4 joins the terms of one factor
            at = _find_levels(own[0], expected["levels"])
            modes, wanted = np.hstack([term.values[at] for term in own]), expected["modes"]
            spread = np.abs(wanted).max(axis=0) + 1e-9
            assert (np.abs(modes - wanted) / spread).max() < 2e-5

    def test_conditional_covariance(self, fitted, reference, name):
        for expected in reference[name]["ranef_head"]:
            if "condvar_first" not in expected:  # lme4 gives none for split terms
                assert "||" in reference[name]["formula"] or "insteval" in name
                continue
            terms = fitted(name).random_effects_.values()
            (term,) = [own for own in terms if _group_in_r(own.group) == expected["group"]]
            wanted = np.array(expected["condvar_first"])
            (at,) = _find_levels(term, expected["levels"][:1])
            np.testing.assert_allclose(
                term.covariance[at], wanted, rtol=0, atol=2e-5 * np.abs(wanted).max() + 1e-9
            )

    def test_fitted_values(self, fitted, frames, reference, name):
        model, case = fitted(name), reference[name]
        frame = frames[case["data"].split()[0].lower().removesuffix("weight")].head(5).copy()
        frame["o"] = 10.0 * frame.get("Days", 0.0)
        np.testing.assert_allclose(model.predict(frame), case["fitted_head"], rtol=1e-6)


class TestExtras:
    def _agrees(self, model, case):
        assert model.deviance_ == pytest.approx(case["objective"], abs=1e-6)
        assert list(model.fixed_effects_["name"]) == case["beta_names"]
        np.testing.assert_allclose(model.fixed_effects_["estimate"], case["beta"], rtol=1e-5)
        np.testing.assert_allclose(model.fixed_effects_["std_error"], case["se"], rtol=1e-5)
        np.testing.assert_allclose(model.theta_, case["theta"], rtol=1e-5, atol=1e-6)
        assert np.sqrt(model.sigma2_) == pytest.approx(case["sigma"], rel=1e-5)
        np.testing.assert_allclose(
            _standard_deviations(model), case["varcorr"][0]["sd"], rtol=1e-5
        )

    def test_missing_rows_are_dropped_and_counted(self, frames, reference):
        case, frame = reference["sleepstudy_missing_reml"], frames["sleepstudy"].copy()
        frame.loc[[2, 49, 110], "Reaction"] = np.nan
        frame.loc[[7, 98], "Days"] = np.nan
        with pytest.warns(UserWarning, match="5 of 180 rows were dropped.*Days.*Reaction"):
            model = lmm(case["formula"], frame)
        assert model.statistics_.n_rows == case["n"]
        self._agrees(model, case)

    def test_determined_column_is_dropped_and_named(self, frames, reference):
        case = reference["sleepstudy_rankdef_reml"]
        frame = frames["sleepstudy"].assign(xx=lambda data: 2.0 * data["Days"])
        with pytest.warns(UserWarning, match="rank-deficient.*'xx'"):
            model = lmm(case["formula"], frame)
        assert model.aliased_ == ["xx"]
        assert model.coef_[1] == 0.0
        self._agrees(model, case)

    def test_prediction(self, fitted, reference):
        case, model = reference["sleepstudy_predict_reml"], fitted("sleepstudy_corr_reml")
        new = pandas.DataFrame(case["newdata"])
        np.testing.assert_allclose(model.predict(new), case["conditional_allow_new"], rtol=1e-6)
        population = model.predict(new, conditional=False)
        np.testing.assert_allclose(population, case["population"], rtol=1e-6)

    def test_likelihood_ratio(self, fitted, reference):
        ratio = fitted("sleepstudy_uncorr_ml").deviance_ - fitted("sleepstudy_corr_ml").deviance_
        wanted = reference["sleepstudy_lrt_uncorr_vs_corr"]["chisq"]
        assert ratio == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("backend", ["polars", "pyarrow"])
def test_other_frames_give_the_same_fit(frames, reference, backend):
    table = frames["orthodont"]
    if backend == "polars":
        import polars

        table = polars.from_pandas(table)
    else:
        import pyarrow

        table = pyarrow.Table.from_pandas(table)
    case = reference["orthodont_slope_reml"]
    model = lmm(case["formula"], table)
    assert model.deviance_ == pytest.approx(case["objective"], abs=1e-6)
    np.testing.assert_allclose(model.theta_, case["theta"], rtol=1e-5)
