"""Residual structures: against nlme, against dense matrices, and what must not matter."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed import as_columns, bind_design, fit_statistics, profiled_criterion
from lmmfit.mixed import residual_statistics as engine
from lmmfit.mixed.residual import parse_residual
from lmmfit.mixed.residual_fit import fit_residual
from lmmfit.mixed.residual_statistics import ResidualStatistics

REFERENCE = Path(__file__).parents[1] / "reference"
CASES = {
    case["id"]: case
    for case in json.loads((REFERENCE / "inference.json").read_text(encoding="utf-8"))["nlme"]
    if case.get("correlation") or "varIdent" in (case.get("weights") or "")
}
LOOSE = {"sleepstudy_ar1_slope_reml", "sleepstudy_ar1_slope_ml"}  # nlme stops short: singular


# ---------------------------------------------------------------- nlme


def translate(case):
    """Random terms and residual structure in our grammar."""
    random = case["random"].replace("nlme::", "").replace("sin(2 * pi * Time)", "S")
    diagonal = re.fullmatch(r"list\((\w+) = pdDiag\(~(.*)\)\)", random)
    random = f"{diagonal[2]} || {diagonal[1]}" if diagonal else random.lstrip("~")
    parts = []
    if "varIdent" in (case.get("weights") or ""):
        stratum = re.search(r"varIdent\(form = ~1 \| (\w+)", case["weights"])[1]
        parts.append(f"ident({stratum})")
    if case.get("correlation"):
        time, group = re.search(r"form = ~(\w+) \| (\w+)", case["correlation"]).groups()
        parts.append(f"ar1({group})" if time == "1" else f"ar1({time} | {group})")
    return f"({random})", " + ".join(parts)


@pytest.fixture(scope="module")
def tables(frames):
    ovary = pd.read_csv(REFERENCE / "data" / "Ovary.csv.gz")
    ovary["S"], ovary["C"] = np.sin(2 * np.pi * ovary["Time"]), np.cos(2 * np.pi * ovary["Time"])
    gaps = frames["sleepstudy"].drop([2, 5, 6, 13, 49, 58, 77, 110, 111, 112, 163])
    return {**frames, "ovary": ovary, "sleepstudy_gaps": gaps}


@pytest.fixture(scope="module")
def fitted_case(tables):
    models = {}

    def fit(name):
        if name not in models:
            case = CASES[name]
            frame = tables[case["data"].lower().removesuffix("weight")].copy()
            frame["w"] = 1.0 + np.arange(len(frame)) % 3
            random, residual = translate(case)
            fixed = case["fixed"] if case["data"] != "Ovary" else "follicles ~ S + C"
            models[name] = (
                frame,
                lmm(
                    f"{fixed} + {random}",
                    frame,
                    method="reml" if case["REML"] else "ml",
                    sample_weight="w" if "varFixed" in (case.get("weights") or "") else None,
                    residual=residual,
                ),
            )
        return models[name]

    return fit


@pytest.mark.parametrize("name", CASES)
class TestNlme:
    def test_likelihood(self, name, fitted_case):
        case, (_, model) = CASES[name], fitted_case(name)
        assert model.converged_
        assert model.result_.n_parameters == case["npar"]
        if name in LOOSE:
            assert model.loglik_ > case["logLik"]
        assert model.loglik_ == pytest.approx(case["logLik"], abs=1e-4 if name in LOOSE else 1e-8)
        assert model.summary().criteria["AIC"] == pytest.approx(case["AIC"], abs=2e-4)

    def test_residual_parameters(self, name, fitted_case):
        case, (_, model) = CASES[name], fitted_case(name)
        structure, tol = model.residual_, 1e-4 if name in LOOSE else 3e-6
        sigma = np.sqrt(model.sigma2_)
        if "phi" in case:
            assert structure.phi == pytest.approx(case["phi"][0], rel=tol)
        if "ratios" in case:  # whose reference is the stratum that comes first in the data
            names = [label.removeprefix("A.") for label in case["ratios"]["names"]]
            own = dict(zip(structure.strata, structure.delta, strict=True))
            ratios = np.array([own[label] for label in names]) / own[names[0]]
            np.testing.assert_allclose(ratios, case["ratios"]["values"], rtol=tol)
            sigma *= own[names[0]]
        assert sigma == pytest.approx(case["sigma"], rel=tol)

    def test_effects(self, name, fitted_case):
        case, (frame, model) = CASES[name], fitted_case(name)
        tol = 1e-3 if name in LOOSE else 1e-5
        wanted = np.array(case["beta"])
        beta = model.fixed_effects_["estimate"]
        order = np.argsort(beta)  # the columns of interactions come in another order
        np.testing.assert_allclose(np.sort(beta), np.sort(wanted), rtol=tol, atol=tol * 0.01)
        errors = np.sqrt(np.diag(case["vcov_beta"]))[np.argsort(wanted)]
        np.testing.assert_allclose(model.fixed_effects_["std_error"][order], errors, rtol=tol)
        np.testing.assert_allclose(model.predict(frame.head(5)), case["fitted_head"], rtol=tol)
        sd = [np.sqrt(np.diag(own)) for own in model.cov_re_.values()]
        wanted = np.concatenate([own["sd"] for own in case["random_effects"]])
        wanted, sd = np.sort(wanted), np.sort(np.concatenate(sd))
        np.testing.assert_allclose(sd, wanted, rtol=10 * tol, atol=1e-5)


BOUNDED = [
    (name, part)
    for name, case in CASES.items()
    for part in ("corStruct", "varStruct")
    if name not in LOOSE and part in case["intervals"]
]


@pytest.mark.parametrize(("name", "part"), BOUNDED)
def test_intervals_of_nlme(name, part, fitted_case):
    """Widths to the two digits that its differences have; TestDense has the others."""
    bounds, model = CASES[name]["intervals"][part], fitted_case(name)[1]
    map_, own = (np.arctanh, "phi") if part == "corStruct" else (np.log, None)
    width = map_(np.array(bounds["upper"])) - map_(np.array(bounds["lower"]))
    table = model.residual_.conf_int()
    rows = [table.row(own)] if own else [table.row(n) for n in table["parameter"] if n != "phi"]
    widths = [map_(row["upper"]) - map_(row["lower"]) for row in rows]
    np.testing.assert_allclose(widths, width, rtol=0.05)


# ---------------------------------------------------------------- dense matrices


def make(seed=0, m=6, rows=(2, 7), changing=False, max_gap=3, strata=2):
    """Rows of groups within larger ones, with times that have gaps, in random order."""
    rng = np.random.default_rng([seed, m, max_gap, strata])
    sizes = rng.integers(*rows, size=m)
    g = np.repeat(np.arange(m), sizes)
    n = len(g)
    stratum = rng.permutation(np.arange(n) % strata) if changing else g % strata
    t = np.concatenate([np.cumsum(rng.integers(1, max_gap + 1, k)) for k in sizes])
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=m)[g] + rng.normal(size=n) * (1.0 + stratum),
            "x": rng.normal(3.0, 1.0, size=n), "t": t, "g": [f"g{i}" for i in g],
            "h": [f"h{i // 2}" for i in g], "c": rng.integers(0, 4, n),
            "s": [f"s{i}" for i in stratum], "w": rng.uniform(0.3, 3.0, n),
        }
    )  # fmt: skip
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def residual_covariance(frame, delta, phi, weights=None):
    """Covariance of the residuals in units of sigma2, entry by entry; order by column t."""
    sd = np.asarray(delta)[frame["s"].str[1:].astype(int)]
    sd = sd / np.sqrt(1.0 if weights is None else weights)
    time, group = frame["t"].to_numpy(), frame["g"].to_numpy()
    lag = np.abs(time[:, None] - time)
    return np.outer(sd, sd) * np.where(group[:, None] == group, np.power(float(phi), lag), 0.0)


def criterion(frame, design, theta, residual, method):
    """The profiled criterion by n x n matrices; design is a list of (columns of Z, group)."""
    y, X = frame["y"].to_numpy(), np.column_stack([np.ones(len(frame)), frame["x"]])
    V, start = residual.copy(), 0
    for z, group in design:
        Z = np.column_stack([np.ones(len(frame)) if name == "1" else frame[name] for name in z])
        q = Z.shape[1]
        size = q * (q + 1) // 2
        factor = np.zeros((q, q))
        factor.T[np.triu_indices(q)] = theta[start : start + size]
        start += size
        same = frame[group].to_numpy()[:, None] == frame[group].to_numpy()
        V += same * (Z @ factor @ factor.T @ Z.T)
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    beta = np.linalg.solve(information, X.T @ inverse @ y)
    rss = (y - X @ beta) @ inverse @ (y - X @ beta)
    nu = len(y) - 2 * (method == "reml")
    value = np.linalg.slogdet(V)[1] + nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    return value + (np.linalg.slogdet(information)[1] if method == "reml" else 0.0)


DESIGNS = {
    "none": (None, []),
    "slope": ("(x | g)", [(["1", "x"], "g")]),
    "nested": ("(x | h) + (1 | g)", [(["1", "x"], "h"), (["1"], "g")]),
    "crossed": ("(1 | g) + (1 | c)", [(["1"], "g"), (["1"], "c")]),
}


def summarize(frame, random, residual, weights=None):
    columns = as_columns(frame)
    design = bind_design(columns, random, "x")
    terms = parse_residual(residual)
    return ResidualStatistics.summarize(design, columns, frame["y"].to_numpy(), terms, weights)


class TestDense:
    @pytest.mark.parametrize("room", [engine._ROOM, (0, 0)], ids=["sums", "whitened"])
    @pytest.mark.parametrize("name", ["none", "slope", "nested"])
    @given(
        seed=st.integers(0, 99), delta=st.floats(0.05, 20.0), phi=st.floats(-0.95, 0.95),
        changing=st.booleans(), weighted=st.booleans(), method=st.sampled_from(["ml", "reml"]),
    )  # fmt: skip
    def test_criterion(self, name, room, seed, delta, phi, changing, weighted, method):
        frame, (random, design) = make(seed, changing=changing), DESIGNS[name]
        weights = frame["w"].to_numpy() if weighted else None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "_ROOM", room)
            own = summarize(frame, random, "ident(s) + ar1(t | g)", weights)
            statistics = own.at(np.array([1.0, delta]), phi)
        theta = np.random.default_rng(seed).normal(size=profiled_criterion(statistics).n_theta)
        residual = residual_covariance(frame, [1.0, delta], phi, weights)
        wanted = criterion(frame, design, theta, residual, method)
        assert (own.sums is None) == (room == (0, 0))
        assert profiled_criterion(statistics, method)(theta) == pytest.approx(wanted, abs=1e-7)

    @pytest.mark.parametrize("random", [own[0] for own in DESIGNS.values()])
    def test_sums_and_whitened_rows_agree(self, random, monkeypatch):
        frame = make(1, changing=True, strata=3)
        residual = "ident(s)" + " + ar1(t | g)" * ("c)" not in (random or ""))
        statistics, phi = [], 0.7 if "ar1" in residual else None
        for room in (engine._ROOM, (0, 0)):
            monkeypatch.setattr(engine, "_ROOM", room)
            own = summarize(frame, random, residual, frame["w"].to_numpy())
            statistics.append(own.at(np.array([1.0, 0.4, 3.0]), phi))
        first, second = statistics
        np.testing.assert_allclose(first.total, second.total, rtol=0, atol=1e-10)
        assert first.weight == pytest.approx(second.weight, rel=1e-12)
        assert first.sum_log_weight == second.sum_log_weight

    @pytest.mark.parametrize("name", ["none", "slope", "crossed"])
    def test_ident_alone(self, name):
        frame, (random, design) = make(3, m=9, changing=True, strata=3), DESIGNS[name]
        delta = np.array([1.0, 0.3, 2.5])
        statistics = summarize(frame, random, "ident(s)").at(delta)
        own = profiled_criterion(statistics, "reml")
        theta = np.linspace(0.3, 1.1, own.n_theta)
        residual = residual_covariance(frame, delta, 0.0)
        assert own(theta) == pytest.approx(
            criterion(frame, design, theta, residual, "reml"), abs=1e-8
        )

    @pytest.mark.parametrize("method", ["ml", "reml"])
    @pytest.mark.parametrize("name", ["slope", "nested"])
    def test_optimum(self, name, method):
        frame, (random, design) = make(7, m=12, rows=(6, 10), max_gap=2), DESIGNS[name]
        fit = fit_residual(summarize(frame, random, "ident(s) + ar1(t | g)"), method)

        def objective(x):
            residual = residual_covariance(frame, [1.0, np.exp(x[-2])], np.tanh(x[-1]))
            return criterion(frame, design, x[:-2], residual, method)

        found = np.append(fit.theta, fit.residual.parameters)
        assert fit.converged
        assert objective(found) == pytest.approx(fit.deviance, abs=1e-8)
        best = scipy.optimize.minimize(objective, found, method="Nelder-Mead",
                                       options={"maxfev": 400, "fatol": 1e-9})  # fmt: skip
        assert best.fun > fit.deviance - 1e-7
        steps = 1e-3 * np.eye(found.size)[-2:]
        slope = [objective(found + step) - objective(found - step) for step in steps]
        assert np.abs(slope).max() < 1e-6

    def test_covariance_is_that_of_the_whole_hessian(self):
        frame, (random, design) = make(11, m=30, rows=(5, 8)), DESIGNS["nested"]
        random, design = "(1 | g)", design[1:]
        fit = fit_residual(summarize(frame, random, "ident(s) + ar1(t | g)"), "ml")
        assert not fit.boundary

        def objective(x):
            residual = residual_covariance(frame, [1.0, np.exp(x[-2])], np.tanh(x[-1]))
            return criterion(frame, design, x[:-2], residual, "ml")

        found, h = np.append(fit.theta, fit.residual.parameters), 1e-3
        moves = h * np.eye(found.size)
        hessian = np.array([
            [
                sum(a * b * objective(found + a * u + b * v) for a in (1, -1) for b in (1, -1))
                for u in moves
            ]
            for v in moves
        ]) / (4 * h * h)  # fmt: skip
        wanted = 2.0 * np.linalg.inv(hessian)[-2:, -2:]
        np.testing.assert_allclose(fit.residual.covariance, wanted, rtol=1e-3)


# ---------------------------------------------------------------- what must not matter


FORMULA = "y ~ x + (1 | g)"
BOTH = "ident(s) + ar1(t | g)"


@pytest.fixture(scope="module")
def frame():
    return make(5, m=20, rows=(5, 9))


@pytest.fixture(scope="module")
def model(frame):
    return lmm(FORMULA, frame, residual=BOTH)


def assert_same(model, other, tol=1e-6):
    assert other.loglik_ == pytest.approx(model.loglik_, abs=1e-8)
    np.testing.assert_allclose(other.residual_.delta, model.residual_.delta, rtol=tol)
    assert other.residual_.phi == pytest.approx(model.residual_.phi, rel=tol)


class TestInvariance:
    def test_neutral_parameters_give_the_plain_fit(self, frame):
        plain = lmm(FORMULA, frame)
        statistics = summarize(frame, "(1 | g)", BOTH).at(np.ones(2), 0.0)
        fit = fit_statistics(statistics)
        assert fit.deviance == pytest.approx(plain.deviance_, abs=1e-10)
        assert plain.residual_ is None

    def test_order_of_the_rows(self, frame, model):
        assert_same(model, lmm(FORMULA, frame.sample(frac=1.0, random_state=1), residual=BOTH))

    def test_names_of_the_groups(self, frame, model):
        names = {f"g{i}": f"z{(7 * i) % 20:02d}" for i in range(20)}
        assert_same(model, lmm(FORMULA, frame.assign(g=frame["g"].map(names)), residual=BOTH))

    def test_origin_of_time(self, frame, model):
        assert_same(model, lmm(FORMULA, frame.assign(t=frame["t"] - 1000), residual=BOTH))

    def test_order_of_appearance_counts_without_times(self, frame):
        ordered = frame.sort_values(["t", "x"], kind="stable")
        counted = ordered.assign(t=ordered.groupby("g").cumcount())
        own = lmm(FORMULA, ordered, residual="ar1(g)")
        assert_same(own, lmm(FORMULA, counted.sample(frac=1.0), residual="ar1(t | g)"))

    def test_relabelled_strata(self, frame, model):
        other = lmm(FORMULA, frame.assign(s=frame["s"].map({"s0": "b", "s1": "a"})), residual=BOTH)
        assert other.loglik_ == pytest.approx(model.loglik_, abs=1e-8)
        assert other.residual_.strata == ("a", "b")
        ratio = model.residual_.delta[1]
        np.testing.assert_allclose(other.residual_.delta, [1.0, 1.0 / ratio], rtol=1e-6)
        assert other.sigma2_ == pytest.approx(model.sigma2_ * ratio**2, rel=1e-6)
        np.testing.assert_allclose(other.predict(frame), model.predict(frame), rtol=1e-6)

    @pytest.mark.parametrize("scale", [1e-6, 1e6])
    def test_scale_of_the_response(self, frame, model, scale):
        other = lmm(FORMULA, frame.assign(y=scale * frame["y"] + 5 * scale), residual=BOTH)
        np.testing.assert_allclose(other.residual_.delta, model.residual_.delta, rtol=1e-6)
        assert other.sigma2_ == pytest.approx(model.sigma2_ * scale**2, rel=1e-6)

    def test_weights_of_strata_are_taken_back(self, frame, model):
        weight = np.where(frame["s"] == "s1", 1e4, 1.0)
        other = lmm(FORMULA, frame, residual=BOTH, sample_weight=weight)
        assert other.loglik_ == pytest.approx(model.loglik_, abs=1e-7)
        assert other.residual_.delta[1] == pytest.approx(100 * model.residual_.delta[1], rel=1e-6)

    def test_rows_of_weight_zero(self, frame, model):
        extra = frame.iloc[:7].assign(y=1e3, t=frame["t"].max() + 5)
        both = pd.concat([extra, frame], ignore_index=True)
        weight = np.r_[np.zeros(7), np.ones(len(frame))]
        assert_same(model, lmm(FORMULA, both, residual=BOTH, sample_weight=weight))

    def test_strata_of_very_different_spread(self):
        rng = np.random.default_rng(0)
        g, s = np.repeat(np.arange(30), 10), np.tile(["a", "b"], 150)
        y = 3 + rng.normal(size=300) * np.where(s == "a", 1e-3, 1.0)
        y += 1e-2 * rng.normal(size=30)[g]
        own = lmm("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g, "s": s}), residual="ident(s)")
        assert own.converged_
        assert own.residual_.delta[1] == pytest.approx(1000, rel=0.15)

    def test_several_columns_make_a_factor(self, frame):
        joined = frame.assign(both=frame["s"] + "_" + (frame["c"] % 2).astype(str))
        split = frame.assign(odd=frame["c"] % 2)
        one = lmm(FORMULA, joined, residual="ident(both)")
        two = lmm(FORMULA, split, residual="ident(s:odd)")
        np.testing.assert_allclose(one.residual_.delta, two.residual_.delta, rtol=1e-8)
        assert two.residual_.strata[0] == "s0:0"


# ---------------------------------------------------------------- the estimator


class TestEstimator:
    def test_columns_named_only_in_residual_are_no_fixed_effects(self, frame, model):
        X = frame[["x", "t", "g", "s"]]
        own = LinearMixedModel("(1 | g)", residual=BOTH).fit(X, frame["y"])
        assert own.design_.layout.fixed_names == ["(Intercept)", "x"]
        assert_same(model, own)
        named = LinearMixedModel("(1 | g)", fixed="x + t", residual=BOTH).fit(X, frame["y"])
        assert named.design_.layout.fixed_names == ["(Intercept)", "x", "t"]

    def test_slope_columns_stay_fixed_effects(self, frame):
        X = frame[["x", "t", "g"]]
        own = LinearMixedModel("(0 + t | g)", residual="ar1(t | g)").fit(X, frame["y"])
        assert own.design_.layout.fixed_names == ["(Intercept)", "x", "t"]

    def test_arrays(self, frame, model):
        codes = frame["g"].str[1:].astype(int), frame["s"].str[1:].astype(int)
        X = np.column_stack([frame["x"], frame["t"], *codes])
        own = LinearMixedModel("(1 | x2)", residual="ident(x3) + ar1(x1 | x2)").fit(X, frame["y"])
        assert own.coef_.shape == (1,)
        assert_same(model, own)
        np.testing.assert_allclose(own.predict(X), model.predict(frame), rtol=1e-7)

    def test_other_data_frames(self, frame, model):
        own = lmm(FORMULA, pl.from_pandas(frame), residual=BOTH)
        assert_same(model, own)
        std = own.predict(pl.from_pandas(frame), return_std=True)[1]
        np.testing.assert_allclose(std, model.predict(frame, return_std=True)[1], rtol=1e-6)

    def test_clone_pickle_and_parameters(self, frame, model):
        assert clone(model).get_params()["residual"] == BOTH
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
        assert repr(again.residual_) == repr(model.residual_)

    def test_pipeline_and_search(self, frame):
        pipeline = make_pipeline(FunctionTransformer(), LinearMixedModel("(1 | g)", fixed="x"))
        grid = {"linearmixedmodel__residual": [None, "ident(s)", BOTH]}
        search = GridSearchCV(pipeline, grid, cv=KFold(3))
        search.fit(frame.drop(columns="y"), frame["y"])
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_standard_deviations_of_the_population(self, frame, model):
        _, std = model.predict(frame, conditional=False, return_std=True)
        x = np.column_stack([np.ones(len(frame)), frame["x"]])
        sd = model.residual_.delta[(frame["s"] == "s1").astype(int)]
        wanted = np.einsum("ni,ij,nj->n", x, model.result_.beta_covariance, x)
        wanted += model.cov_re_["g"][0, 0] + model.sigma2_ * sd**2
        np.testing.assert_allclose(std**2, wanted, rtol=1e-10)

    def test_a_new_stratum_has_no_standard_deviation(self, frame, model):
        new = frame.head(3).assign(s=["s0", "q", "s1"])
        assert np.isfinite(model.predict(new)).all()
        with pytest.raises(ValueError, match=r"'q' of ident\(s\) in row 1.*\['s0', 's1'\]"):
            model.predict(new, return_std=True)
        assert np.isfinite(model.predict(new.drop(columns="s"))).all()

    def test_summary(self, model):
        text = str(model.summary())
        assert (
            "Residual structure ident(s) + ar1(t | g) (the residual above is that of s0)" in text
        )
        assert "delta[s1]" in text
        assert "phi" in text
        assert "delta[s1]" in model.summary()._repr_html_()

    def test_missing_values_of_the_residual_columns_are_dropped(self, frame, model):
        extra = frame.head(2).assign(s=None)
        with pytest.warns(UserWarning, match=r"2 of .* missing in \['s'\]"):
            own = lmm(FORMULA, pd.concat([frame, extra]), residual=BOTH)
        assert_same(model, own)

    def test_no_partial_fit(self, frame, model):
        X = frame.drop(columns="y")
        with pytest.raises(ValueError, match="partial_fit cannot go on with the residual struct"):
            LinearMixedModel("(1 | g)", fixed="x", residual=BOTH).partial_fit(X, frame["y"])
        later = clone(model).fit(frame, frame["y"]).set_params(residual=None)
        with pytest.raises(ValueError, match="partial_fit"):
            later.partial_fit(frame, frame["y"])

    def test_refit_without_a_structure(self, frame, model):
        own = lmm(FORMULA, frame, residual=BOTH).set_params(residual=None)
        own.fit(frame, frame["y"])
        assert own.residual_ is None
        assert own.deviance_ == pytest.approx(lmm(FORMULA, frame).deviance_)


# ---------------------------------------------------------------- bad input


def gap(frame):
    return frame.assign(t=np.where(np.arange(len(frame)) == 3, 1.5, frame["t"]))


def twice(frame):
    first = frame.index[frame["g"] == frame["g"].iloc[0]][:2]
    return frame.assign(t=frame["t"].where(~frame.index.isin(first), 7))


def lonely(frame):
    return frame.assign(s=np.where(np.arange(len(frame)) == 4, "odd", frame["s"]))


BAD = {
    "grammar": ("ident s", None, "'ident s' is no residual structure"),
    "subtracted": ("ident(s) - ar1(g)", None, r"'ar1\(g\)' is no residual structure"),
    "unknown kind": ("arma(g)", None, r"'ar1\(time \| group\)'"),
    "empty": ("ident()", None, "no residual structure"),
    "nested": ("ar1(g/h)", None, "no residual structure"),
    "twice": ("ident(s) + ident(h)", None, "names ident twice"),
    "unknown stratum": ("ident(q)", None, "residual uses the column 'q'.*they have"),
    "unknown group": ("ar1(q)", None, "residual uses the column 'q'"),
    "unknown time": ("ar1(q | g)", None, "residual uses the column 'q'"),
    "one stratum": ("ident(s)", lambda f: f.assign(s="only"), "one stratum only, 'only'"),
    "lonely": ("ident(s)", lonely, r"stratum 'odd' of ident\(s\) has 1 row"),
    "text as time": ("ar1(s | g)", None, "column 's' holds 's., which is no number|'s'"),
    "fractions": ("ar1(t | g)", gap, "column 't' has 1.5 in row 3"),
    "same time": ("ar1(t | g)", twice, "have the same time 7 in column 't'"),
    "single rows": ("ar1(g)", lambda f: f.drop_duplicates("g"), "no level of 'g' has two rows"),
    "not nested": ("ar1(t | h)", lambda f: f.assign(t=range(len(f))),
                   r"'g' changes within a level of 'h'.*ar1\(h:g\)"),
}  # fmt: skip


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_what_is_said(self, name, frame):
        residual, change, message = BAD[name]
        data = frame if change is None else change(frame)
        with pytest.raises(ValueError, match=f"(?s){message}"):
            lmm(FORMULA, data, residual=residual)

    def test_types(self, frame):
        with pytest.raises(TypeError, match="residual must be a string"):
            lmm(FORMULA, frame, residual=3)
        with pytest.raises(ValueError, match="'residual' parameter"):
            LinearMixedModel(residual=3).fit(frame[["x"]], frame["y"])

    def test_crossed_factors(self, frame):
        with pytest.raises(ValueError, match=r"'c' changes within a level of 'g'"):
            lmm("y ~ x + (1 | g) + (1 | c)", frame, residual="ar1(t | g)")

    def test_failed_fit_leaves_the_model_as_it_was(self, frame):
        own = lmm(FORMULA, frame, residual=BOTH)
        before = own.predict(frame)
        with pytest.raises(ValueError, match="one stratum only"):
            own.fit(frame.assign(s="a"), frame["y"])
        np.testing.assert_array_equal(own.predict(frame), before)


class TestLimits:
    def test_a_stratum_without_residual(self):
        rng = np.random.default_rng(0)
        g, s = np.repeat(np.arange(10), 8), np.tile(["a", "b"], 40)
        y = np.where(s == "a", rng.normal(size=80), 1.0)
        data = pd.DataFrame({"y": y, "g": g, "s": s})
        with pytest.warns(UserWarning, match=r"delta\[b\] goes to its limit"):
            own = lmm("y ~ 1 + (1 | g)", data, residual="ident(s)")
        assert not own.converged_
        assert np.isnan(own.residual_.table["std_error"]).all()

    def test_two_rows_in_a_group_do_not_tell_phi_from_a_random_intercept(self):
        rng = np.random.default_rng(0)
        g = np.repeat(np.arange(40), 2)
        y = rng.normal(size=40)[g] + rng.normal(size=80)
        data = pd.DataFrame({"y": y, "g": g})
        with pytest.warns(UserWarning, match="no optimum was certified"):
            own = lmm("y ~ 1 + (1 | g)", data, residual="ar1(g)")
        assert not own.converged_

    def test_an_exact_fit(self):
        data = pd.DataFrame({"y": np.arange(12.0), "x": np.arange(12.0), "g": np.arange(12) // 3})
        data["s"] = np.arange(12) % 2
        with pytest.warns(UserWarning, match="fit the response exactly"):
            own = lmm("y ~ x + (1 | g)", data, residual="ident(s) + ar1(g)")
        assert own.sigma2_ == 0.0


# ---------------------------------------------------------------- simulation


def test_simulated_residuals_have_the_structure(frames):
    """Covariance of many simulations beside the matrix of sigma2, delta, phi and the lags."""
    frame = frames["sleepstudy"].drop([2, 5, 6, 13]).iloc[:40].sample(frac=1.0, random_state=0)
    frame["early"] = np.where(frame["Days"] < 4, "early", "late")
    model = lmm(
        "Reaction ~ Days + (1 | Subject)", frame, residual="ident(early) + ar1(Days | Subject)"
    )
    draws = 40_000
    drawn = model.simulate(frame, draws, conditional=True, random_state=1)
    ratio = np.where(frame["early"] == model.residual_.strata[0], 1.0, model.residual_.delta[1])
    days, subject = frame["Days"].to_numpy(), frame["Subject"].to_numpy()
    same = subject[:, None] == subject
    lag = np.abs(days[:, None] - days).astype(float)
    wanted = same * model.residual_.phi**lag * np.outer(ratio, ratio)
    found = np.cov(drawn) / model.sigma2_
    scale = np.outer(ratio, ratio)
    np.testing.assert_allclose(found / scale, wanted / scale, atol=6.0 / np.sqrt(draws))


def test_simulation_of_a_structure_can_be_fitted_again(frames):
    """A refit to a simulated response is close to what it was simulated from."""
    frame = pd.concat([frames["sleepstudy"].assign(block=k) for k in range(8)])
    frame["Subject"] = frame["Subject"].astype(str) + frame["block"].astype(str)
    model = lmm("Reaction ~ Days + (1 | Subject)", frame, residual="ar1(Subject)")
    again = model.refit(frame, model.simulate(frame, random_state=3)[:, 0])
    assert again.residual_.phi == pytest.approx(model.residual_.phi, abs=0.1)
    assert again.sigma2_ == pytest.approx(model.sigma2_, rel=0.2)


def test_simulation_names_an_unknown_stratum_and_a_weight_of_zero(frames):
    frame = frames["sleepstudy"].copy()
    frame["early"] = np.where(frame["Days"] < 4, "early", "late")
    model = lmm("Reaction ~ Days + (1 | Subject)", frame, residual="ident(early)")
    with pytest.raises(ValueError, match=r"stratum 'noon' .* in row 3"):
        model.simulate(frame.assign(early=["late"] * 3 + ["noon"] * 177))
    plain, weight = lmm("Reaction ~ Days + (1 | Subject)", frame), np.ones(180)
    weight[7] = 0.0
    with pytest.raises(ValueError, match=r"must be positive to simulate, got 0.0 in row 7"):
        plain.simulate(frame, sample_weight=weight)
