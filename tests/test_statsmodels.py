"""Side by side with statsmodels' MixedLM: the same models, the same numbers."""

import warnings

import numpy as np
import pandas
import pytest

from lmmfit import lmm
from lmmfit.datasets import make_longitudinal


def _theirs(frame, fixed, group, slopes, method):
    """Fit by MixedLM as well as it can: tight tolerances, its warnings aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.regression.mixed_linear_model import MixedLM

        model = MixedLM.from_formula(
            fixed, frame, re_formula=f"~ {slopes}" if slopes else None, groups=frame[group]
        )
        fit = model.fit(reml=method == "reml", method=["bfgs", "nm", "bfgs"], gtol=1e-9)
        return fit, fit.bse_fe, fit.random_effects


@pytest.fixture(scope="module")
def simulated():
    X, y = make_longitudinal(
        60, (3, 9), n_features=2, random_slopes=1, as_frame=True, random_state=5
    )
    return X.assign(y=np.asarray(y))


# Table, fixed part, group, slope.
MODELS = {
    "sleepstudy": ("Reaction ~ Days", "Subject", "Days"),
    "sleepstudy intercept": ("Reaction ~ Days", "Subject", ""),
    "dyestuff": ("Yield ~ 1", "Batch", ""),
    "orthodont": ("distance ~ age * Sex", "Subject", ""),
    "simulated": ("y ~ x0 + x1", "group", "x0"),
}


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize("name", MODELS)
def test_side_by_side(frames, simulated, name, method):
    fixed, group, slopes = MODELS[name]
    frame = simulated if name == "simulated" else frames[name.split()[0]]
    theirs, errors, effects = _theirs(frame, fixed, group, slopes, method)
    ours = lmm(f"{fixed} + ({slopes or 1} | {group})", frame, method=method)
    assert -2 * theirs.llf == pytest.approx(ours.deviance_, abs=2e-4)
    assert ours.deviance_ <= -2 * theirs.llf + 1e-6
    names = [name.replace("(Intercept)", "Intercept") for name in ours.fixed_effects_["name"]]
    assert sorted(names) == sorted(theirs.fe_params.index)
    wanted = theirs.fe_params[names]
    np.testing.assert_allclose(ours.fixed_effects_["estimate"], wanted, rtol=1e-4)
    # Its standard errors count the uncertainty of the variances in, by differences.
    np.testing.assert_allclose(ours.fixed_effects_["std_error"], errors[names], rtol=1e-2)
    assert ours.sigma2_ == pytest.approx(theirs.scale, rel=2e-3)
    covariance, wanted = ours.cov_re_[group], np.asarray(theirs.cov_re)
    np.testing.assert_allclose(covariance, wanted, atol=5e-3 * np.abs(wanted).max())
    modes = ours.random_effects_[group]
    table = pandas.DataFrame(effects).T.loc[list(modes.levels)].to_numpy(float)
    np.testing.assert_allclose(modes.values, table, atol=5e-3 * np.abs(table).max())


def test_singular_fit(frames):
    """Dyestuff2 has no variance between batches: ours is certified, theirs agrees."""
    frame = frames["dyestuff2"]
    theirs, *_ = _theirs(frame, "Yield ~ 1", "Batch", "", "ml")
    ours = lmm("Yield ~ 1 + (1 | Batch)", frame, method="ml")
    assert ours.converged_
    assert ours.singular_
    assert ours.deviance_ <= -2 * theirs.llf + 1e-6
    assert -2 * theirs.llf == pytest.approx(ours.deviance_, abs=1e-3)


def test_predictions_of_the_population(frames):
    frame = frames["sleepstudy"]
    theirs, *_ = _theirs(frame, "Reaction ~ Days", "Subject", "Days", "reml")
    ours = lmm("Reaction ~ Days + (Days | Subject)", frame)
    np.testing.assert_allclose(
        ours.predict(frame, conditional=False), theirs.predict(frame), rtol=1e-5
    )
    np.testing.assert_allclose(ours.predict(frame), theirs.fittedvalues, rtol=1e-3)
