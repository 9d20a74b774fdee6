"""Residuals, leverage and influence against R, dense matrices and fits to the other rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed.influences import cooks_distance, influence, leverage, residuals

_FOLDER = Path(__file__).parents[1] / "reference"
_MODELS = json.loads((_FOLDER / "lmm.json").read_text(encoding="utf-8"))["models"]
_INFERENCE = json.loads((_FOLDER / "inference.json").read_text(encoding="utf-8"))
_INFLUENCE, FURTHER = _INFERENCE["influence"], _INFERENCE["models"]
TRACES = [case["id"] for case in _MODELS if "hat_trace" in case]
SLEEP = "Reaction ~ Days + (Days | Subject)"


def prepare(case, frame):
    """Model of a case of inference.json, its frame, and the name of its weights."""
    row, formula = np.arange(len(frame)), case["formula"]
    frame = frame.assign(w=1.0 + row % 3)
    weight = "w" if case.get("weights") else None
    if case.get("offset"):
        frame["o"] = frame["Days"] ** 2
        formula += " + offset(o)"
    method = "reml" if case["REML"] else "ml"
    return lmm(formula, frame, method=method, sample_weight=weight), frame, weight


def check(values, case, tolerance):
    scale = np.sqrt(case["sum_squares"])
    np.testing.assert_allclose(values[:8], case["head"], atol=tolerance * scale)
    assert values.sum() == pytest.approx(case["sum"], abs=tolerance * scale * len(values))
    assert (values**2).sum() == pytest.approx(case["sum_squares"], rel=tolerance)
    assert values[case["largest"]] == pytest.approx(values.max(), rel=tolerance)


@pytest.mark.parametrize("name", TRACES)
def test_trace_of_the_hat_matrix(fitted, reference, frames, name):
    case, model = reference[name], fitted(name)
    frame = frames[case["data"].split()[0].lower().removesuffix("weight")]
    frame = frame.assign(w=1.0 + np.arange(len(frame)) % 3, o=10.0 * frame.get("Days", 0.0))
    found = leverage(model, frame, sample_weight="w" if case["weights"] else None)
    assert found.sum() == pytest.approx(case["hat_trace"], rel=2e-8)
    assert found.min() > 0.0
    assert found.max() < 1.0


@pytest.mark.parametrize("case", FURTHER, ids=lambda case: case["id"])
def test_trace_of_further_models(fit_table, tables, case):
    model = fit_table(case["data"], case["formula"], "reml" if case["REML"] else "ml")
    trace = leverage(model, tables(case["data"])).sum()
    assert trace == pytest.approx(case["hat_trace"], rel=3e-6)


@pytest.mark.parametrize("case", _INFLUENCE["by_row"], ids=lambda case: case["id"])
def test_rows_as_in_lme4(tables, case):
    model, frame, weight = prepare(case, tables(case["data"]))
    check(leverage(model, frame, sample_weight=weight), case["leverage"], 1e-6)
    check(cooks_distance(model, frame, sample_weight=weight), case["cook"], 1e-6)
    check(residuals(model, frame), case["residual"], 1e-6)
    check(residuals(model, frame, kind="pearson", sample_weight=weight), case["pearson"], 1e-6)
    standardized = residuals(model, frame, kind="standardized", sample_weight=weight)
    check(standardized, case["rstudent"], 1e-6)


@pytest.mark.parametrize(
    "case", _INFLUENCE["by_group"], ids=lambda case: f"{case['id']}-{case['group']}"
)
def test_groups_as_in_lme4(fit_table, tables, case):
    model = fit_table(case["data"], case["formula"], "reml" if case["REML"] else "ml")
    found = influence(model, tables(case["data"]), by=case["group"])
    levels = found.levels.astype(str).tolist()
    at = [levels.index(level) for level in case["levels"]]
    assert found.converged.all()
    np.testing.assert_allclose(found.estimates[at], case["beta_without"], rtol=1e-7)
    np.testing.assert_allclose(found.std_errors[at], case["se_without"], rtol=1e-6)
    np.testing.assert_allclose(found.sigma[at], case["sigma_without"], rtol=1e-7)
    np.testing.assert_allclose(found.theta[at], case["theta_without"], atol=2e-6)
    np.testing.assert_allclose(found.cooks_distance[at], case["cook"], rtol=1e-5, atol=1e-9)


class TestDenseTwins:
    def hat(self, model, X, Z, weights):
        """Hat matrix of penalised least squares: the rows below are the penalty."""
        half = np.sqrt(weights)[:, None]
        blocks = Z.shape[1] // len(model.result_.lambda_)
        root = np.kron(np.eye(blocks), model.result_.lambda_)
        top = half * np.hstack([Z @ root, X])
        penalty = np.hstack([np.eye(Z.shape[1]), np.zeros((Z.shape[1], X.shape[1]))])
        whole = np.vstack([top, penalty])
        return (top @ np.linalg.pinv(whole))[:, : len(X)]

    @pytest.mark.parametrize("weighted", [False, True])
    def test_hat_matrix(self, frames, weighted):
        frame = frames["sleepstudy"].assign(w=np.linspace(0.5, 4.0, 180))
        model = lmm(SLEEP, frame, sample_weight="w" if weighted else None)
        days, codes = frame["Days"].to_numpy(), frame["Subject"].cat.codes.to_numpy()
        X = np.column_stack([np.ones(180), days])
        Z = np.zeros((180, 18, 2))
        Z[np.arange(180), codes] = X
        weights = frame["w"].to_numpy() if weighted else np.ones(180)
        hat = self.hat(model, X, Z.reshape(180, -1), weights)
        weight = frame["w"] if weighted else None
        np.testing.assert_allclose(leverage(model, frame, sample_weight=weight), hat.diagonal())
        pearson = residuals(model, frame, kind="pearson", sample_weight=weight)
        half = np.sqrt(weights)
        np.testing.assert_allclose(pearson, half * frame["Reaction"] - hat @ (
            half * frame["Reaction"]), atol=1e-9)  # fmt: skip

    def test_linear_model(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ Days", frame)
        X = np.column_stack([np.ones(180), frame["Days"]])
        hat = X @ np.linalg.pinv(X)
        np.testing.assert_allclose(leverage(model, frame), hat.diagonal())
        beta = [
            np.linalg.lstsq(X[keep], frame["Reaction"][keep], rcond=None)[0]
            for keep in ~np.eye(180, dtype=bool)[:5]
        ]
        r, h = residuals(model, frame)[:5], hat.diagonal()[:5]
        full = model.result_.beta
        spread = np.linalg.inv(model.result_.beta_covariance)
        cook = [(full - own) @ spread @ (full - own) / 2 for own in beta]
        np.testing.assert_allclose(cooks_distance(model, frame)[:5], cook, rtol=1e-9)
        np.testing.assert_allclose(r / (1 - h) * h, X[:5] @ full - [
            x @ own for x, own in zip(X, beta, strict=False)], rtol=1e-9)  # fmt: skip

    def test_held_theta_is_generalised_least_squares(self, frames):
        frame = frames["sleepstudy"].assign(w=np.linspace(0.5, 4.0, 180))
        model = lmm(SLEEP, frame, sample_weight="w")
        found = influence(model, frame, sample_weight="w", refit=False)
        for k in (0, 7, 17):
            keep = (frame["Subject"] != found.levels[k]).to_numpy()
            codes = frame["Subject"].cat.codes.to_numpy()[keep]
            X = np.column_stack([np.ones(keep.sum()), frame["Days"][keep]])
            same = codes[:, None] == codes
            covariance = np.diag(1.0 / frame["w"][keep]) + same * (
                X @ model.result_.lambda_ @ model.result_.lambda_.T @ X.T
            )
            inverse, y = np.linalg.inv(covariance), frame["Reaction"][keep].to_numpy()
            information = X.T @ inverse @ X
            beta = np.linalg.solve(information, X.T @ inverse @ y)
            r = y - X @ beta
            sigma2 = r @ inverse @ r / (len(y) - 2)
            error = np.sqrt(sigma2 * np.linalg.inv(information).diagonal())
            np.testing.assert_allclose(found.estimates[k], beta, rtol=1e-9)
            np.testing.assert_allclose(found.sigma[k], np.sqrt(sigma2), rtol=1e-9)
            np.testing.assert_allclose(found.std_errors[k], error, rtol=1e-9)


def others(found, frame, formula, k, column=None, **options):
    """Fit to the rows that are not of the k-th level, from the start."""
    rows = frame[frame[column or found.by].astype(str) != str(found.levels[k])]
    return lmm(formula, rows, **options)


class TestRefits:
    @given(st.integers(0, 17), st.booleans(), st.sampled_from(["ml", "reml"]))
    def test_one_factor(self, frames, k, weighted, method):
        frame = frames["sleepstudy"].assign(w=np.linspace(0.5, 4.0, 180))
        options = {"method": method, "sample_weight": "w" if weighted else None}
        model = lmm(SLEEP, frame, **options)
        found = influence(model, frame, sample_weight=options["sample_weight"])
        again = others(found, frame, SLEEP, k, **options)
        np.testing.assert_allclose(found.estimates[k], again.result_.beta, rtol=1e-6)
        np.testing.assert_allclose(found.theta[k], again.theta_, atol=1e-5)
        assert found.sigma[k] ** 2 == pytest.approx(again.sigma2_, rel=1e-6)

    def test_a_column_that_is_no_factor(self, tables):
        frame, formula = tables("sim_nested"), "y ~ x + (1 | c)"
        found = influence(lmm(formula, frame), frame, by="a:b")
        assert len(found.levels) == 32
        labels = frame["a"].astype(str) + ":" + frame["b"].astype(str)
        again = others(found, frame.assign(ab=labels), formula, 3, "ab")
        np.testing.assert_allclose(found.estimates[3], again.result_.beta, rtol=1e-7)
        assert found.counts[3] == (labels == found.levels[3]).sum()

    def test_a_fit_on_the_boundary(self, tables):
        frame, formula = tables("sim_zero"), "y ~ x + (1 | g) + (1 | h)"
        model = lmm(formula, frame)
        found = influence(model, frame, by="g")
        assert model.singular_
        assert found.converged.all()
        for k in range(0, 15, 5):
            again = others(found, frame, formula, k)
            np.testing.assert_allclose(found.estimates[k], again.result_.beta, rtol=1e-6)
            np.testing.assert_allclose(found.theta[k], again.theta_, atol=1e-5)

    def test_arrays_offsets_and_new_levels_of_a_nested_factor(self, tables):
        frame = tables("sim_nested").assign(o=np.linspace(0.0, 5.0, 400))
        formula = "y ~ x + offset(o) + (1 | a/b)"
        found = influence(lmm(formula, frame), frame, by="a")
        again = others(found, frame, formula, 2)
        np.testing.assert_allclose(found.estimates[2], again.result_.beta, rtol=1e-7)
        X = np.column_stack([frame["x"], frame["a"].cat.codes])
        y, keep = frame["y"].to_numpy(), X[:, 1] != 2
        found = influence(LinearMixedModel("(1 | x1)").fit(X, y), X, y)
        again = LinearMixedModel("(1 | x1)").fit(X[keep], y[keep])
        np.testing.assert_allclose(found.estimates[2], again.result_.beta, rtol=1e-7)

    def test_threads_and_the_order_of_rows_do_not_matter(self, frames):
        frame = frames["ratpup"]
        model = lmm("weight ~ sex + (1 | Litter)", frame)
        plain, threads = influence(model, frame), influence(model, frame, n_jobs=2)
        shuffled = influence(model, frame.sample(frac=1.0, random_state=0))
        np.testing.assert_array_equal(plain.estimates, threads.estimates)
        np.testing.assert_allclose(plain.estimates, shuffled.estimates, rtol=1e-9)
        np.testing.assert_array_equal(plain.levels, shuffled.levels)

    def test_rows_of_weight_zero_do_not_count(self, frames):
        frame = frames["sleepstudy"].assign(w=1.0)
        frame.loc[[3, 60], "w"] = 0.0
        model = lmm(SLEEP, frame, sample_weight="w")
        left = frame.drop(index=[3, 60])
        found = influence(model, frame, sample_weight="w")
        np.testing.assert_allclose(
            found.estimates, influence(lmm(SLEEP, left), left).estimates, rtol=1e-7
        )
        assert found.counts.sum() == 178
        assert leverage(model, frame, sample_weight="w")[[3, 60]].tolist() == [0.0, 0.0]

    def test_held_theta_agrees_for_balanced_nested_data(self, frames):
        frame = frames["machines"]
        model = lmm("score ~ Machine + (1 | Worker/Machine)", frame)
        held, anew = influence(model, frame, by="Worker", refit=False), influence(
            model, frame, by="Worker")  # fmt: skip
        np.testing.assert_allclose(held.estimates, anew.estimates, rtol=1e-10)
        assert np.abs(held.sigma / anew.sigma - 1.0).max() > 0.01
        np.testing.assert_array_equal(held.theta, np.tile(model.theta_, (6, 1)))

    @pytest.mark.parametrize("refit", [True, False])
    def test_an_effect_that_only_one_level_shows(self, frames, refit):
        frame = frames["sleepstudy"]
        frame = frame.assign(x=np.where(frame["Subject"] == "308", frame["Days"] ** 2, 0.0))
        model = lmm("Reaction ~ Days + x + (1 | Subject)", frame)
        found = influence(model, frame, refit=refit)
        assert np.isnan(found.estimates[0, 2])
        assert np.isnan(found.cooks_distance[0])
        assert np.isfinite(found.estimates[1:]).all()
        assert found.table["change x"].shape == (18,)

    def test_linear_models_leave_out_by_any_column(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ Days", frame)
        anew, held = influence(model, frame, by="Subject"), influence(
            model, frame, by="Subject", refit=False)  # fmt: skip
        again = others(anew, frame, "Reaction ~ Days", 4)
        np.testing.assert_allclose(anew.estimates[4], again.result_.beta, rtol=1e-10)
        for one in ("estimates", "std_errors", "sigma", "cooks_distance"):
            np.testing.assert_allclose(getattr(anew, one), getattr(held, one), rtol=1e-9)

    def test_aliased_columns_are_left_out(self, frames):
        frame = frames["sleepstudy"].assign(xx=2.0 * frames["sleepstudy"]["Days"])
        with pytest.warns(UserWarning, match="rank-deficient"):
            model = lmm("Reaction ~ Days + xx + (Days | Subject)", frame)
        plain = lmm(SLEEP, frame)
        for refit in (True, False):
            found, expected = influence(model, frame, refit=refit), influence(
                plain, frame, refit=refit)  # fmt: skip
            assert found.names == ("(Intercept)", "Days")
            np.testing.assert_allclose(found.estimates, expected.estimates, rtol=1e-6)
        np.testing.assert_allclose(
            cooks_distance(model, frame), cooks_distance(plain, frame), rtol=1e-5
        )


class TestProperties:
    @given(st.floats(0.1, 10.0), st.floats(-100.0, 100.0))
    def test_units_of_the_response_and_the_weights(self, frames, scale, shift):
        frame = frames["sleepstudy"].assign(w=1.0 + np.arange(180) % 3)
        moved = frame.assign(w=scale * frame["w"], Reaction=scale * frame["Reaction"] + shift)
        first, second = (lmm(SLEEP, data, sample_weight="w") for data in (frame, moved))
        for function in (leverage, cooks_distance):
            np.testing.assert_allclose(
                function(first, frame, sample_weight="w"),
                function(second, moved, sample_weight="w"), rtol=1e-5,
            )  # fmt: skip
        options = {"kind": "standardized", "sample_weight": "w"}
        np.testing.assert_allclose(
            residuals(first, frame, **options), residuals(second, moved, **options), atol=1e-5
        )

    def test_marginal_residuals_leave_out_the_random_effects(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ Days + offset(Days) + (Days | Subject)", frame)
        expected = frame["Reaction"] - model.predict(frame, conditional=False)
        np.testing.assert_allclose(residuals(model, frame, kind="marginal"), expected)
        fitted = model.predict(frame)
        np.testing.assert_allclose(residuals(model, frame), frame["Reaction"] - fitted)

    def test_estimator_and_polars(self, frames):
        polars = pytest.importorskip("polars")
        frame = frames["sleepstudy"]
        X, y = frame[["Days", "Subject"]], frame["Reaction"]
        model = LinearMixedModel("(Days | Subject)").fit(X, y)
        expected = cooks_distance(model, X, y)
        table = polars.from_pandas(X.astype({"Subject": str}))
        np.testing.assert_allclose(cooks_distance(model, table, y), expected)
        np.testing.assert_allclose(
            influence(model, table, y).estimates, influence(model, X, y).estimates
        )

    def test_print(self, frames):
        frame = frames["dyestuff"]
        lines = str(influence(lmm("Yield ~ 1 + (1 | Batch)", frame), frame)).splitlines()
        assert lines[0].split()[:4] == ["level", "n_rows", "cooks_distance", "sigma"]
        assert len(lines) == 7


class TestBadInput:
    @pytest.fixture
    def sleep(self, frames):
        return lmm(SLEEP, frames["sleepstudy"]), frames["sleepstudy"]

    def test_kind(self, sleep):
        with pytest.raises(ValueError, match=r"kind must be one of 'response'.*'deviance'"):
            residuals(*sleep, kind="deviance")

    def test_missing_response(self, frames):
        X, y = frames["sleepstudy"][["Days", "Subject"]], frames["sleepstudy"]["Reaction"]
        model = LinearMixedModel("(Days | Subject)").fit(X, y)
        with pytest.raises(ValueError, match=r"y is missing.*lmm\(\)"):
            residuals(model, X)
        with pytest.raises(ValueError, match="180 rows of X"):
            residuals(model, X, y[:10])

    def test_values_that_are_no_numbers(self, sleep):
        model, frame = sleep
        for column, what in (("Days", "column 'Days'"), ("Reaction", "the response")):
            bad = frame.astype({column: float})
            bad.loc[7, column] = np.nan
            with pytest.raises(ValueError, match=f"{what} contains NaN, first in row 7"):
                residuals(model, bad)

    def test_new_level(self, sleep):
        model, frame = sleep
        bad = frame.assign(Subject=frame["Subject"].astype(str))
        bad.loc[5, "Subject"] = "999"
        for function in (leverage, residuals, cooks_distance, influence):
            with pytest.raises(ValueError, match="level '999' of 'Subject' in row 5"):
                function(model, bad)

    def test_weights(self, sleep):
        model, frame = sleep
        weighted = lmm(SLEEP, frame.assign(w=2.0), sample_weight="w")
        for function in (leverage, cooks_distance, influence):
            with pytest.raises(ValueError, match="fitted with weights"):
                function(weighted, frame)
        assert residuals(weighted, frame).shape == (180,)
        with pytest.raises(ValueError, match=r"shape \(180,\), got \(2,\)"):
            leverage(model, frame, sample_weight=[1.0, 2.0])
        with pytest.raises(ValueError, match=r"row 3 has -1\.0"):
            leverage(model, frame, sample_weight=np.where(np.arange(180) == 3, -1.0, 1.0))
        with pytest.raises(ValueError, match="'none'"):
            leverage(model, frame, sample_weight="none")

    def test_by(self, sleep, frames):
        model, frame = sleep
        with pytest.raises(ValueError, match="by names the column 'Nobody'"):
            influence(model, frame, by="Nobody")
        with pytest.raises(TypeError, match="name of a column"):
            influence(model, frame, by=3)
        with pytest.raises(ValueError, match=r"'site' has 1 level"):
            influence(model, frame.assign(site="a"), by="site")
        two = lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", frames["penicillin"])
        with pytest.raises(ValueError, match=r"\['plate', 'sample'\]; say with by="):
            influence(two, frames["penicillin"])
        with pytest.raises(ValueError, match="share 'A' of 'sample'; use refit=True"):
            influence(two, frames["penicillin"], by="plate", refit=False)

    def test_other_rows(self, sleep):
        model, frame = sleep
        with pytest.raises(ValueError, match="the 180 rows of the fit, got 170"):
            influence(model, frame[:170])
        with pytest.raises(ValueError, match="not the rows of the fit"):
            influence(model, frame.assign(Reaction=frame["Reaction"].to_numpy()[::-1]))
        with pytest.raises(ValueError, match="not the rows of the fit"):
            influence(model, frame, sample_weight=np.linspace(1.0, 2.0, 180))

    def test_no_fixed_effects(self, frames):
        frame = frames["dyestuff"]
        model = lmm("Yield ~ 0 + (1 | Batch)", frame)
        for function in (cooks_distance, influence):
            with pytest.raises(ValueError, match="no fixed effects"):
                function(model, frame)
        assert leverage(model, frame).shape == (30,)

    def test_exact_fits(self):
        X = np.column_stack([np.arange(6.0), np.repeat([0, 1, 2], 2)])
        with pytest.warns(UserWarning, match="exactly"):
            model = LinearMixedModel("(1 | x1)").fit(X, 1.0 + X[:, 0])
        for function in (leverage, cooks_distance, influence):
            with pytest.raises(ValueError, match="no residual variance"):
                function(model, X) if function is leverage else function(model, X, X[:, 0])

    def test_rows_of_leverage_one(self):
        rng = np.random.default_rng(0)
        X = np.column_stack([np.append(1.0, np.zeros(19)), np.repeat(np.arange(5), 4)])
        y = rng.normal(size=20) + rng.normal(size=5)[X[:, 1].astype(int)]
        model = LinearMixedModel("(1 | x1)").fit(X, y)
        assert leverage(model, X)[0] == pytest.approx(1.0)
        assert np.isnan(cooks_distance(model, X, y)[0])
        assert np.isnan(residuals(model, X, y, "standardized")[0])
        assert np.isfinite(cooks_distance(model, X, y)[1:]).all()

    def test_residual_structures(self, frames):
        frame = frames["orthodont"]
        model = lmm("distance ~ age + (1 | Subject)", frame, residual="ident(Sex)")
        for function in (leverage, cooks_distance, influence):
            with pytest.raises(ValueError, match=r"residual structure \('ident\(Sex\)'\)"):
                function(model, frame)
        with pytest.raises(ValueError, match="no Pearson residuals"):
            residuals(model, frame, kind="pearson")
        expected = frame["distance"] - model.predict(frame)
        np.testing.assert_allclose(residuals(model, frame), expected)
