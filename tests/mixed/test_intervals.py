"""Profile, bootstrap and Wald intervals, and simulated responses."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed import bootstrap, confidence_intervals, profile, profile_intervals
from lmmfit.mixed.simulation import simulate_products

_MORE = json.loads(
    (Path(__file__).parents[1] / "reference" / "inference.json").read_text(encoding="utf-8")
)
PROFILES = {case["id"]: case for case in _MORE["profiles"]}
CROSSED = "y ~ x + (x | c) + (1 | d)"


def crossed(seed=0, n=200):
    rng = np.random.default_rng(seed)
    frame = pandas.DataFrame({"c": rng.integers(12, size=n), "d": rng.integers(6, size=n)})
    frame["x"] = rng.normal(size=n)
    slopes = rng.normal(size=(12, 2)) @ [[1.0, 0.3], [0.0, 0.5]]
    frame["y"] = 3.0 + frame.x + slopes[frame.c, 0] + slopes[frame.c, 1] * frame.x
    frame["y"] += 0.8 * rng.normal(size=6)[frame.d] + rng.normal(size=n)
    return frame


def _rename(name):
    """Names of R: factors inside out, levels without brackets."""
    head, bar, group = name.partition("|")
    if bar:
        return head + bar + ":".join(reversed(group.split(":")))
    for part in ("Machine", "Sex", "sex", "Treatment", "Variety", "cond", "f"):
        head = head.replace(f"{part}[T.", part)
    return head.replace("]", "")


class TestProfile:
    @pytest.mark.parametrize("name", PROFILES)
    @pytest.mark.parametrize("level", [0.95, 0.9])
    def test_limits_of_nested_minimisation(self, fit_table, name, level):
        case = PROFILES[name]
        key = f"limits{round(100 * level)}"
        if key not in case:
            assert level == 0.9
            return
        model = fit_table(case["data"], case["formula"], "ml")
        found = profile_intervals(model, level=level)
        wanted = dict(zip(case["names"], zip(case[key]["lower"], case[key]["upper"], strict=True),
                          strict=True))  # fmt: skip
        for label, lower, upper in zip(
            *(found[c] for c in ("name", "lower", "upper")), strict=True
        ):
            label = _rename(label).replace("Subject.1", "Subject")
            if name == "orthodont_both_ml" and label == "sd_(Intercept)|Subject":
                continue  # a corner: see the test of the correlation below
            low, high = (np.nan if v is None else float(v) for v in wanted[label])
            width = high - low if np.isfinite(high - low) else 1.0
            np.testing.assert_allclose([lower, upper], [low, high], atol=2e-5 * width, rtol=1e-5)

    def test_curves_are_those_of_nested_minimisation(self, fit_table):
        case = PROFILES["sleepstudy_corr_ml"]
        model = fit_table("sleepstudy", case["formula"], "ml")
        found = profile(model, n_points=30)
        for curve in case["curves"]:
            own = found[curve["parameter"]]
            near = np.interp(curve["values"], own.values, own.zeta)
            np.testing.assert_allclose(near, curve["zeta"], atol=0.03)
            assert (np.diff(own.zeta) > 0.0).all()
            assert own.zeta[0] == pytest.approx(-2.5758, abs=1e-3)

    def test_a_correlation_beyond_a_vanishing_variance(self, fit_table):
        """Without a slope's variance every correlation fits alike: zeta reaches 0.913 at most."""
        case = PROFILES["orthodont_both_ml"]
        model = fit_table("Orthodont", case["formula"], "ml")
        curve = profile(model, ["cor_age.(Intercept)|Subject"])["cor_age.(Intercept)|Subject"]
        smaller = fit_table("Orthodont", "distance ~ age * Sex + (1 | Subject)", "ml")
        bound = np.sqrt(smaller.deviance_ - model.deviance_)
        assert bound == pytest.approx(0.913, abs=1e-3)
        assert (np.abs(curve.zeta) <= bound + 1e-6).all()
        assert (curve.values[0], curve.values[-1]) == (-1.0, 1.0)

    def test_slopes_are_derivatives(self):
        found = profile(lmm(CROSSED, crossed(), method="ml"), level=0.8, n_points=20)
        for name in found:
            curve = found[name]
            middle = np.abs(curve.zeta) > 0.3
            slopes = np.gradient(curve.zeta, curve.values)
            np.testing.assert_allclose(
                curve.slope[middle][1:-1], slopes[middle][1:-1], rtol=0.15, err_msg=name
            )

    def test_a_reml_fit_is_profiled_by_ml(self):
        frame = crossed(1)
        one, other = (profile_intervals(lmm(CROSSED, frame, method=m)) for m in ("reml", "ml"))
        np.testing.assert_allclose(one["upper"], other["upper"], rtol=1e-5)

    def test_units_move_limits_along(self):
        frame = crossed(2)
        one = profile_intervals(lmm(CROSSED, frame))
        other = profile_intervals(lmm(CROSSED, frame.assign(y=1e3 * frame.y + 5.0)))
        for row in ("sd_(Intercept)|c", "sigma", "x"):
            assert other.row(row)["upper"] == pytest.approx(1e3 * one.row(row)["upper"], rel=1e-5)
        cor = "cor_x.(Intercept)|c"
        assert other.row(cor)["lower"] == pytest.approx(one.row(cor)["lower"], rel=1e-4)

    def test_progress(self, capsys):
        model = lmm("y ~ x + (1 | c)", crossed())
        quiet = profile_intervals(model)
        assert not capsys.readouterr().err
        loud = profile_intervals(model, progress=True)
        assert "4/4" in capsys.readouterr().err
        np.testing.assert_array_equal(loud["upper"], quiet["upper"])
        profile(model, ["x"], progress=True)
        assert "1/1" in capsys.readouterr().err

    def test_without_random_effects(self):
        """The likelihood of a linear model is known: n log(1 + t^2 / (n - p))."""
        frame = crossed(3, 60)
        model = lmm("y ~ x", frame)
        found = profile_intervals(model)
        t = np.sqrt(58.0 * np.expm1(1.959964**2 / 60.0))
        half = t * model.fixed_effects_["std_error"]
        np.testing.assert_allclose(found["upper"][1:], found["lower"][1:] + 2.0 * half, rtol=1e-5)

    def test_a_fixed_effect_named_sigma(self):
        model = lmm("y ~ sigma + (1 | c)", crossed().rename(columns={"x": "sigma"}))
        for method in ("wald", "profile", "bootstrap"):
            names = confidence_intervals(model, method, n_resamples=20, random_state=0)["name"]
            assert names.tolist()[-3:] == ["sigma", "(Intercept)", "sigma (fixed)"]

    def test_chosen_parameters(self):
        model = lmm(CROSSED, crossed())
        assert profile_intervals(model, ["sigma"])["name"].tolist() == ["sigma"]
        assert list(profile(model, ["x"])) == ["x"]
        with pytest.raises(KeyError, match="'sigma' was not profiled"):
            profile(model, ["x"])["sigma"]


class TestBootstrap:
    @pytest.mark.parametrize("formula", [CROSSED, "y ~ x + (x | c)", "y ~ x + (1 | c)"])
    def test_products_have_the_moments_of_simulated_rows(self, formula):
        """Simulated cross-products against rows simulated and summarised."""
        frame = crossed(3, 60)
        frame["w"] = 1.0 + np.arange(60) % 3
        model = lmm(formula, frame, sample_weight="w")
        fit, design = model.result_, model.design_
        k, rng = 3000, np.random.default_rng(0)
        products = simulate_products(fit, k, rng)
        rows = model.simulate(frame, k, random_state=1, sample_weight=frame["w"])
        rows = rows - (model.predict(frame, conditional=False))[:, None]
        from lmmfit.mixed.many import fit_many

        many = fit_many(design, _columns(frame), rows, sample_weight=frame["w"].to_numpy())
        basis, other = fit.statistics.basis, many.statistics.basis
        scale = many.scale / np.sqrt(other.weight_unit)
        mine = products.square * basis.response_scale**2 * basis.weight_unit
        # totals of squares about zero: what the pilot fit took off is put back
        gram = many.statistics.total[: len(design.layout.columns), : len(design.layout.columns)]
        at = design.layout.fixed_positions
        gram = gram[np.ix_(at, at)]
        raw = many.products.square * scale**2 * other.weight_unit**2
        raw += np.einsum("kp,pr,kr->k", many.pilot, gram, many.pilot) * other.weight_unit
        raw += (
            2.0
            * many.scale
            * np.einsum("kp,kp->k", many.pilot, many.products.fixed)
            * (other.weight_unit)
        )
        weight = frame["w"].sum()
        mean_part = weight * many.mean**2
        cross_mean = 2.0 * many.mean * _weighted_sum(frame, design, many)
        raw = raw + mean_part + cross_mean
        assert np.mean(mine) == pytest.approx(np.mean(raw), rel=0.05)
        assert np.std(mine) == pytest.approx(np.std(raw), rel=0.12)

    def test_refits_agree_with_fits_of_simulated_rows(self):
        frame = crossed(4, 120)
        model = lmm("y ~ x + (1 | c) + (1 | d)", frame)
        resamples = bootstrap(model, 1500, random_state=0)
        rows = model.simulate(frame, 1500, random_state=1)
        refits = LinearMixedModel("(1 | c) + (1 | d)").fit(frame[["x", "c", "d"]], rows)
        sds = np.sqrt(np.stack([cov[:, 0, 0] for cov in refits.cov_re_.values()], axis=1))
        theirs = np.column_stack([sds, np.sqrt(refits.sigma2_), refits.intercept_, refits.coef_])
        assert resamples.names == [
            "sd_(Intercept)|c", "sd_(Intercept)|d", "sigma", "(Intercept)", "x",
        ]  # fmt: skip
        spread = theirs.std(axis=0)
        np.testing.assert_allclose(
            resamples.samples.mean(axis=0), theirs.mean(axis=0), atol=0.12 * spread.max()
        )
        np.testing.assert_allclose(resamples.std_error, spread, rtol=0.12)

    def test_the_same_for_any_number_of_threads(self):
        model = lmm("y ~ x + (x | c)", crossed())
        one = bootstrap(model, 200, random_state=5)
        other = bootstrap(model, 200, random_state=5, n_jobs=2)
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.converged.all()

    def test_intervals(self):
        model = lmm("y ~ x + (1 | c)", crossed())
        resamples = bootstrap(model, 400, random_state=0)
        wide = resamples.intervals(0.99)
        for kind in ("percentile", "basic", "normal"):
            found = resamples.intervals(0.9, kind)
            assert (found["lower"] < found["upper"]).all()
            assert (found["upper"] - found["lower"] < wide["upper"] - wide["lower"]).all()
        assert "400 resamples" in repr(resamples)

    def test_progress(self, capsys):
        bootstrap(lmm("y ~ x + (1 | c)", crossed()), 50, random_state=0, progress=True)
        shown = capsys.readouterr()
        assert "50/50" in shown.err
        assert not shown.out

    @pytest.mark.parametrize(
        ("options", "words"),
        [({"n_resamples": 0}, "n_resamples.*0"), ({"n_resamples": 2.5}, "n_resamples.*2.5")],
    )
    def test_bad_input(self, options, words):
        with pytest.raises(ValueError, match=words):
            bootstrap(lmm("y ~ x + (1 | c)", crossed()), **options)


class TestConfidenceIntervals:
    def test_wald_by_differences(self):
        """Against a Hessian of the deviance in (log sd, atanh cor, log sigma)."""
        import scipy.linalg

        frame = crossed(6)
        model = lmm("y ~ x + (x | c)", frame, method="ml")
        found = confidence_intervals(model)
        groups = [own.index.to_numpy() for _, own in frame.reset_index(drop=True).groupby("c")]
        X = np.column_stack([np.ones(len(frame)), frame.x])

        def deviance(parameters):
            sd, cor = np.exp(parameters[[0, 2]]), np.tanh(parameters[1])
            sigma2 = np.exp(2.0 * parameters[3])
            cov = np.array([[sd[0] ** 2, cor * sd[0] * sd[1]], [cor * sd[0] * sd[1], sd[1] ** 2]])
            V = sigma2 * np.eye(len(frame))
            for own in groups:
                V[np.ix_(own, own)] += X[own] @ cov @ X[own].T
            inverse = np.linalg.inv(V)
            beta = np.linalg.solve(X.T @ inverse @ X, X.T @ inverse @ frame.y)
            rest = frame.y - X @ beta
            return np.linalg.slogdet(V)[1] + rest @ inverse @ rest

        estimate = found["estimate"]
        center = np.array([np.log(estimate[0]), np.arctanh(estimate[1]), *np.log(estimate[2:4])])
        h, hessian = 2e-3, np.empty((4, 4))
        for i in range(4):
            for j in range(4):
                ends = [
                    deviance(center + h * (s * np.eye(4)[i] + t * np.eye(4)[j]))
                    for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))
                ]
                hessian[i, j] = (ends[0] - ends[1] - ends[2] + ends[3]) / (4 * h * h)
        half = 1.959964 * np.sqrt(np.diag(2.0 * scipy.linalg.inv(hessian)))
        links = (np.exp, np.tanh, np.exp, np.exp)
        for i, link in enumerate(links):
            assert found["lower"][i] == pytest.approx(link(center[i] - half[i]), rel=2e-3)
            assert found["upper"][i] == pytest.approx(link(center[i] + half[i]), rel=2e-3)

    def test_three_methods_tell_about_the_same(self):
        model = lmm("y ~ x + (1 | c)", crossed(7, 400), method="ml")
        tables = [
            confidence_intervals(model, method, random_state=0)
            for method in ("wald", "profile", "bootstrap")
        ]
        for table in tables[1:]:
            assert table["name"].tolist() == tables[0]["name"].tolist()
            middle = ["sigma", "x"]
            for name in middle:
                assert table.row(name)["lower"] == pytest.approx(
                    tables[0].row(name)["lower"], rel=0.05
                )

    def test_method_of_the_estimator(self):
        model = lmm(CROSSED, crossed())
        assert model.conf_int()["name"].tolist() == ["(Intercept)", "x"]
        table = model.conf_int(0.9, method="profile", parameters=["sigma", "x"])
        assert table["name"].tolist() == ["sigma", "x"]
        assert model.conf_int(parameters=["sigma"]).columns == [
            "name", "estimate", "lower", "upper",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"method": "exact"}, "'wald', 'profile', 'bootstrap', got 'exact'"),
            ({"level": 1.0}, "level must lie between 0 and 1, such as 0.95, got 1.0"),
            ({"parameters": ["sd_z|c"]}, r"'sd_z\|c' is not a parameter; .*'sd_x\|c'"),
        ],
    )
    def test_bad_input(self, options, words):
        with pytest.raises(ValueError, match=words):
            confidence_intervals(lmm(CROSSED, crossed()), **options)

    def test_a_linear_model_has_a_sigma(self):
        frame = crossed()
        table = confidence_intervals(lmm("y ~ x", frame))
        assert table["name"].tolist() == ["sigma", "(Intercept)", "x"]
        assert table["lower"][0] < table["estimate"][0] < table["upper"][0]

    def test_a_vanished_variance(self):
        model = lmm("Yield ~ 1 + (1 | Batch)", _dyestuff2(), method="ml")
        assert model.singular_
        table = confidence_intervals(model, "profile")
        assert table["lower"][0] == 0.0
        assert table["upper"][0] == pytest.approx(2.0840478, rel=1e-5)


class TestSimulate:
    def test_moments(self):
        frame = crossed(8, 40)
        model = lmm(CROSSED, frame)
        drawn = model.simulate(frame, 20000, random_state=0)
        mean = model.predict(frame, conditional=False)
        np.testing.assert_allclose(drawn.mean(axis=1), mean, atol=0.08)
        Z = np.column_stack([np.ones(40), frame.x])
        cov = model.cov_re_["c"]
        same_c = np.equal.outer(frame.c.to_numpy(), frame.c.to_numpy())
        same_d = np.equal.outer(frame.d.to_numpy(), frame.d.to_numpy())
        V = same_c * (Z @ cov @ Z.T) + same_d * model.cov_re_["d"].item()
        V += model.sigma2_ * np.eye(40)
        np.testing.assert_allclose(np.cov(drawn), V, atol=0.06 * V.max())

    def test_conditional_keeps_the_modes(self):
        frame = crossed(9, 60)
        model = lmm(CROSSED, frame)
        drawn = model.simulate(frame, 4000, conditional=True, random_state=0)
        np.testing.assert_allclose(drawn.mean(axis=1), model.predict(frame), atol=0.12)
        np.testing.assert_allclose(drawn.std(), np.sqrt(
            model.sigma2_ + model.predict(frame).var()), rtol=0.05)  # fmt: skip

    def test_refit(self):
        frame = crossed(11, 80)
        model = lmm(CROSSED, frame)
        before = model.coef_.copy()
        drawn = model.simulate(frame, random_state=0)[:, 0]
        other = model.refit(frame, drawn)
        same = lmm(CROSSED, frame.assign(y=drawn))
        assert other.deviance_ == pytest.approx(same.deviance_, abs=1e-8)
        assert other.formula_ == CROSSED
        np.testing.assert_array_equal(model.coef_, before)

    def test_seed_and_bad_input(self):
        frame = crossed(10, 30)
        model = lmm(CROSSED, frame)
        one, other = (model.simulate(frame, 2, random_state=3) for _ in range(2))
        np.testing.assert_array_equal(one, other)
        with pytest.raises(ValueError, match="n_simulations must be a positive integer, got 0"):
            model.simulate(frame, 0)


def _columns(frame):
    from lmmfit.mixed import as_columns

    return as_columns(frame)


def _weighted_sum(frame, design, many):
    """Weighted sums of the responses less their means."""
    at = design.layout.fixed.index(design.layout.intercept)
    other = many.statistics.basis
    gram = many.statistics.total
    positions = design.layout.fixed_positions
    total = many.scale * many.products.fixed[:, at]
    total = total + many.pilot @ gram[positions, positions[at]]
    return total * other.weight_unit / other.transform[positions[at], positions[at]]


def _dyestuff2():
    from lmmfit.datasets import load_dyestuff2

    return load_dyestuff2(as_frame=True).frame
