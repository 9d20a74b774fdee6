"""The optimum: certified on the boundary, as good as a dense search, honest without one."""

import warnings

import numpy as np
import pytest

from lmmfit.mixed import (
    MixedStatistics,
    ProfiledCriterion,
    fit_statistics,
    optimize_criterion,
    profiled_criterion,
)
from lmmfit.mixed.boundary import escape, null_directions, project
from lmmfit.optimize import NewtonResult, minimize_newton

METHODS = ["ml", "reml"]


def _statistics(frame, response, slopes=(), group=None, fixed=()):
    X = np.column_stack([np.ones(len(frame)), *(frame[name] for name in (*slopes, *fixed))])
    Z = X[:, : 1 + len(slopes)]
    return MixedStatistics.from_arrays(
        frame[response].to_numpy(), X, Z, frame[group].to_numpy(object)
    )


def _fit(y, X, Z, groups, method="reml", **options):
    return fit_statistics(MixedStatistics.from_arrays(y, X, Z, groups), method, **options)


class TestBoundary:
    @pytest.mark.parametrize(("method", "value"), [("reml", 9.9), ("ml", None)])
    def test_dyestuff2_is_certified_at_zero(self, frames, method, value):
        fit = fit_statistics(_statistics(frames["dyestuff2"], "Yield", group="Batch"), method)
        (zero,) = fit.boundary
        assert fit.converged
        np.testing.assert_array_equal(fit.theta, [0.0])
        assert zero.derivative > 0
        assert zero.effects == ("(Intercept)",)
        np.testing.assert_array_equal(zero.weights, [1.0])
        if value:
            assert zero.derivative == pytest.approx(value, abs=5e-3)
            assert str(zero).startswith("(Intercept) (derivative +9.9")

    def test_derivative_is_that_of_the_criterion(self, frames):
        statistics = _statistics(frames["dyestuff2"], "Yield", group="Batch")
        criterion = profiled_criterion(statistics)
        step = 1e-3  # of theta; the variance is its square
        slope = (criterion([step]) - criterion([0.0])) / step**2
        (zero,) = fit_statistics(statistics).boundary
        assert zero.derivative == pytest.approx(slope, rel=1e-4)

    def test_dyestuff_leaves_zero(self, frames):
        """At zero the derivative is -45.9: the start there is no optimum."""
        statistics = _statistics(frames["dyestuff"], "Yield", group="Batch")
        criterion = profiled_criterion(statistics)
        slope = (criterion([1e-3]) - criterion([0.0])) / 1e-6
        assert slope == pytest.approx(-45.9, abs=0.05)
        fit = fit_statistics(statistics, start=np.zeros(1))
        assert fit.converged
        assert not fit.boundary
        assert fit.deviance == pytest.approx(319.65427684, abs=1e-6)

    @pytest.mark.parametrize("start", [None, [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, -0.3, 0.0]])
    def test_orthodont_is_not_trapped(self, frames, start):
        """Bounded L-BFGS-B stops at 443.8485 with a gradient below 1e-6."""
        statistics = _statistics(frames["orthodont"], "distance", ["age"], "Subject")
        fit = fit_statistics(statistics, start=start)
        assert fit.converged
        assert fit.deviance == pytest.approx(442.63668588, abs=1e-6)

    def test_orthodont_with_sex(self, frames):
        """Polished by a simplex search: 432.581661502608."""
        frame = frames["orthodont"].assign(
            female=lambda f: (f["Sex"] == "Female").astype(float),
            both=lambda f: f["age"] * (f["Sex"] == "Female"),
        )
        statistics = _statistics(frame, "distance", ["age"], "Subject", ["female", "both"])
        fit = fit_statistics(statistics)
        assert fit.converged
        assert fit.deviance == pytest.approx(432.581661502608, abs=1e-6)

    def test_perfect_correlation_is_reported_as_a_combination(self):
        rng = np.random.default_rng(0)
        groups = np.repeat(np.arange(40), 6)
        Z = np.column_stack([np.ones(240), rng.normal(size=240)])
        effect = rng.normal(size=40)[groups]
        y = effect * Z[:, 0] + 0.5 * effect * Z[:, 1] + rng.normal(size=240)
        fit = _fit(y, Z, Z, groups)
        covariance = fit.lambda_ @ fit.lambda_.T
        if fit.boundary:
            (zero,) = fit.boundary
            assert zero.weights @ covariance @ zero.weights < 1e-12
            assert np.abs(zero.weights).max() == 1.0
            assert zero.derivative >= 0
        correlation = covariance[1, 0] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert correlation > 0.95

    def test_boundary_in_units_of_the_user(self, dense):
        """Weights of the reported combination hold for the columns as they were given."""
        found = 0
        for seed in range(12):
            data = dense.problem(2, 2, m=6, rows=(4, 7), seed=seed)
            data.X[:, 1] = 100.0 + 7.0 * data.X[:, 1]
            data.Z[:, 1] = data.X[:, 1]
            fit = _fit(data.y, data.X, data.Z, data.groups, "ml")
            for zero in fit.boundary:
                found += 1
                covariance = fit.lambda_ @ fit.lambda_.T
                size = np.outer(np.abs(zero.weights), np.abs(zero.weights)) * np.abs(covariance)
                assert abs(zero.weights @ covariance @ zero.weights) <= 1e-7 * (1 + size.sum())
        assert found


def _stuck_once(monkeypatch, x):
    """Let the first search end at x and say that it converged there."""
    real, calls = minimize_newton, []

    def search(evaluate, start, **options):
        calls.append(np.array(start))
        if len(calls) == 1:
            return NewtonResult(np.array(x), *evaluate(np.array(x)), 1, True, "stuck")
        return real(evaluate, start, **options)

    def nowhere(self, lambda_, n_em, n_newton, tol):
        _, _, _, _, *at_zero = descend(self, lambda_, n_em, n_newton, tol)
        return lambda_, self.evaluate_factor(lambda_, None, 2), 1, False, *at_zero

    descend = ProfiledCriterion.descend
    monkeypatch.setattr(ProfiledCriterion, "descend", nowhere)
    monkeypatch.setattr("lmmfit.mixed.newton.minimize_newton", search)
    return calls


class TestEscape:
    """A search that stops on the boundary although the data ask for variance goes on."""

    def test_from_zero(self, frames, monkeypatch):
        calls = _stuck_once(monkeypatch, [0.0])
        fit = fit_statistics(_statistics(frames["dyestuff"], "Yield", group="Batch"))
        assert len(calls) >= 2
        assert abs(calls[1][0]) == pytest.approx(0.3)
        assert fit.converged
        assert fit.deviance == pytest.approx(319.65427684, abs=1e-6)

    @pytest.mark.parametrize("x", [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.4]])
    def test_from_a_face(self, frames, monkeypatch, x):
        calls = _stuck_once(monkeypatch, x)
        statistics = _statistics(frames["sleepstudy"], "Reaction", ["Days"], "Subject")
        fit = fit_statistics(statistics)
        assert len(calls) >= 2
        assert fit.deviance == pytest.approx(1743.62827195849, abs=1e-6)

    def test_true_boundary_stays(self, frames, monkeypatch):
        calls = _stuck_once(monkeypatch, [0.0])
        fit = fit_statistics(_statistics(frames["dyestuff2"], "Yield", group="Batch"))
        assert len(calls) == 1
        assert fit.boundary[0].derivative > 0

    def test_small_variance_that_the_data_ask_for_is_kept(self):
        """A relative deviation of 1e-4 and less is looked at, and not set to zero."""
        groups = np.repeat(np.arange(2000), 2)
        rng = np.random.default_rng(0)
        x = np.where(np.arange(4000) % 2, 1e5, -1e5)
        X = np.column_stack([np.ones(4000), x])
        y = 2e-5 * rng.normal(size=2000)[groups] * x + rng.normal(size=4000)
        fit = _fit(y, X, X[:, 1:], groups)
        assert fit.converged
        assert not fit.boundary
        assert fit.theta[0] == pytest.approx(2e-5, rel=0.1)


class TestCone:
    blocks = ((0, 2), (2, 3))

    def test_project_sets_small_directions_to_zero(self):
        axes = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
        covariance = np.zeros((3, 3))
        covariance[:2, :2] = axes @ np.diag([2.0, 1e-10]) @ axes.T
        covariance[2, 2] = 0.5
        root = np.zeros((3, 3))
        root[:2, :2] = np.linalg.cholesky(covariance[:2, :2])
        root[2, 2] = np.sqrt(0.5)
        projected, n_null = project(root, self.blocks)
        assert n_null == 1
        got = projected @ projected.T
        np.testing.assert_allclose(got, covariance, atol=1e-9)
        assert abs(axes[:, 1] @ got[:2, :2] @ axes[:, 1]) < 1e-15

    @pytest.mark.parametrize("q", [1, 2, 3, 5])
    def test_project_counts_as_the_eigenvalues_do(self, q):
        """Whatever the short cut over the determinant says."""
        rng = np.random.default_rng(q)
        found = set()
        for _ in range(300):
            scales = 10.0 ** rng.uniform(-6, 6 if q < 3 else 1, size=q)
            root = np.tril(rng.normal(size=(q, q))) * scales[:, None]
            variances = np.linalg.eigvalsh(root @ root.T)
            bound = 1e-8 * max(1.0, variances[-1])
            if np.abs(variances / bound - 1.0).min() < 1e-3:
                continue  # rounding decides
            assert project(root, ((0, q),))[1] == np.sum(variances <= bound)
            found.add(int(np.sum(variances <= bound)))
        assert len(found) > 1

    def test_project_leaves_the_rest(self):
        root = np.diag([1.0, 0.01, 2.0])
        projected, n_null = project(root, self.blocks)
        assert n_null == 0
        np.testing.assert_array_equal(projected, root)

    def test_null_directions_diagonalise_the_derivative(self):
        derivative = np.array([[1.0, 2.0, 9.0], [2.0, -1.0, 9.0], [9.0, 9.0, 4.0]])
        found = null_directions(np.zeros((3, 3)), derivative, self.blocks)
        assert [direction.block for direction in found] == [0, 0, 1]
        slopes = [direction.derivative for direction in found]
        np.testing.assert_allclose(slopes, [-np.sqrt(5), np.sqrt(5), 4.0])
        for direction in found[:2]:
            w = direction.weights
            assert w @ derivative[:2, :2] @ w == pytest.approx(direction.derivative)

    def test_escape_adds_variance_where_the_derivative_is_negative(self):
        derivative = np.diag([1.0, -3.0, -4.0])
        start = np.diag([0.5, 0.0, 0.0])
        found = null_directions(start, derivative, self.blocks)
        root = escape(start, found, self.blocks, 0.1)
        np.testing.assert_allclose(root @ root.T, np.diag([0.25, 0.01, 0.01]), atol=1e-12)
        found = null_directions(start, -derivative, self.blocks)
        root = escape(start, found, self.blocks, 0.1)
        np.testing.assert_allclose(root @ root.T, np.diag([0.25, 0.0, 0.0]), atol=1e-12)


class TestDegenerateData:
    groups = np.repeat(np.arange(8), 4)
    ones = np.ones((32, 1))

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("response", ["zero", "constant", "linear"])
    def test_fixed_effects_that_fit_exactly(self, method, response):
        X = np.column_stack([self.ones, np.arange(32.0)])
        beta = {"zero": [0.0, 0.0], "constant": [1e3, 0.0], "linear": [3.0, 0.1]}[response]
        fit = _fit(X @ beta, X, X, self.groups, method)
        assert fit.saturated
        assert fit.sigma2 == 0.0
        assert fit.deviance == -np.inf
        np.testing.assert_array_equal(fit.theta, 0.0)
        np.testing.assert_allclose(fit.beta, beta, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("method", METHODS)
    def test_as_many_columns_as_rows(self, method):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(3, 3)), rng.normal(size=3)
        fit = _fit(y, X, np.ones((3, 1)), [0, 1, 1], method)
        assert fit.saturated
        assert np.isnan(fit.deviance) if method == "reml" else fit.deviance == -np.inf
        np.testing.assert_allclose(X @ fit.beta, y, rtol=1e-9)

    @pytest.mark.parametrize("method", METHODS)
    def test_one_row_in_each_group(self, method):
        rng = np.random.default_rng(1)
        X = np.column_stack([self.ones, rng.normal(size=32)])
        y = rng.normal(size=32)
        fit = _fit(y, X, self.ones, np.arange(32), method)
        alone = fit_statistics(MixedStatistics.from_arrays(y, X), method)
        assert fit.converged
        assert fit.theta[0] == 0.0
        assert fit.deviance == pytest.approx(alone.deviance, abs=1e-8)
        assert fit.sigma2 == pytest.approx(alone.sigma2, rel=1e-10)
        np.testing.assert_allclose(fit.beta, alone.beta, rtol=1e-10)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("q", [1, 2])
    def test_one_group(self, method, q):
        rng = np.random.default_rng(2)
        X = np.column_stack([self.ones, rng.normal(size=32)])
        y = rng.normal(size=32)
        fit = _fit(y, X, X[:, :q], np.zeros(32, int), method)
        alone = fit_statistics(MixedStatistics.from_arrays(y, X), method)
        assert fit.converged
        assert fit.deviance == pytest.approx(alone.deviance, abs=1e-8)
        assert ("constant" in fit.reason) == (method == "reml")

    @pytest.mark.parametrize("method", METHODS)
    def test_two_rows(self, method):
        fit = _fit([1.0, 3.0], np.ones((2, 1)), np.ones((2, 1)), ["a", "b"], method)
        assert fit.converged
        assert fit.sigma2 == pytest.approx(1.0 if method == "ml" else 2.0)

    @pytest.mark.parametrize("method", METHODS)
    def test_tiny_residual(self, method):
        """One-way layout whose rows repeat to 1e-4: the optimum is known in closed form."""
        rng = np.random.default_rng(3)
        effects, noise = rng.normal(size=8), 1e-4 * rng.normal(size=32)
        noise -= np.repeat(noise.reshape(8, 4).mean(axis=1), 4)
        y = effects[self.groups] + noise
        fit = _fit(y, self.ones, self.ones, self.groups, method)
        within = noise @ noise / 24
        between = 4 * np.var(effects, ddof=1 if method == "reml" else 0)
        assert fit.sigma2 == pytest.approx(within, rel=1e-4)
        assert fit.theta[0] ** 2 == pytest.approx((between / within - 1) / 4, rel=1e-3)

    @pytest.mark.parametrize("method", METHODS)
    def test_no_residual_within_groups_is_no_ordinary_fit(self, method):
        """y is constant within groups: the likelihood grows without bound in theta."""
        y = np.random.default_rng(4).normal(size=8)[self.groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = _fit(y, self.ones, self.ones, self.groups, method)
        assert fit.saturated or not fit.converged or fit.theta[0] > 1e5
        assert fit.sigma2 < 1e-12

    @pytest.mark.parametrize("method", METHODS)
    def test_lines_that_fit_every_group_exactly(self, method):
        rng = np.random.default_rng(6)
        Z = np.column_stack([self.ones, rng.normal(size=32)])
        fit = _fit(
            (Z * rng.normal(size=(8, 2))[self.groups]).sum(axis=1), Z, Z, self.groups, method
        )
        assert fit.saturated or not fit.converged or np.abs(fit.theta).max() > 1e5
        assert fit.sigma2 < 1e-12

    @pytest.mark.parametrize("method", METHODS)
    def test_estimates_stay_finite_where_the_residual_is_swallowed(self, method):
        """Rounding decides where the criterion ceases; wherever it does, numbers remain."""
        for seed in range(40):
            rng = np.random.default_rng(seed)
            Z = np.column_stack([self.ones, 10.0 ** rng.integers(-4, 5) * rng.normal(size=32)])
            effects = 10.0 ** rng.uniform(-3, 6) * rng.normal(size=(8, 2))[self.groups]
            fit = _fit((Z * effects).sum(axis=1), Z, Z, self.groups, method)
            assert np.isfinite(fit.sigma2)
            assert np.isfinite(fit.beta).all()
            assert np.isfinite(fit.deviance) or fit.saturated

    def test_collinear_random_effects(self):
        """A slope that is a multiple of the intercept: theta is not unique, the fit is."""
        rng = np.random.default_rng(5)
        y = rng.normal(size=8)[self.groups] + rng.normal(size=32)
        single = _fit(y, self.ones, self.ones, self.groups)
        double = _fit(y, self.ones, np.hstack([self.ones, 2 * self.ones]), self.groups)
        assert double.converged
        assert double.deviance == pytest.approx(single.deviance, abs=1e-7)
        assert double.beta[0] == pytest.approx(single.beta[0], rel=1e-9)


class TestSearch:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("q", [1, 2, 3])
    def test_no_dense_search_finds_better(self, dense, q, method):
        for seed in range(5):
            data = dense.problem(q, 1 + seed % 3, m=8, rows=(q + 2, q + 6), seed=100 + seed)
            if seed == 3:  # nothing varies by group
                data.y = np.random.default_rng(seed).normal(size=len(data.y))
            model = data.y, data.X, data.Z, data.groups
            fit = _fit(*model, method)
            best = dense.minimum(*model, method, starts=4, seed=seed)
            assert fit.converged
            assert fit.deviance <= best + 1e-6
            at_theta = dense.evaluate(fit.theta, *model, method, order=0)
            assert at_theta == pytest.approx(fit.deviance, abs=1e-7)

    @pytest.mark.parametrize(
        "start", [[1.0, 0, 1.0], [30.0, -9.0, 5.0], [1e-3, 0, 1e-3], [0, 0, 0]]
    )
    def test_start_does_not_matter(self, frames, start):
        statistics = _statistics(frames["sleepstudy"], "Reaction", ["Days"], "Subject")
        fit = fit_statistics(statistics, start=np.array(start))
        assert fit.converged
        assert fit.deviance == pytest.approx(1743.62827195849, abs=1e-7)

    def test_start_at_the_optimum_is_quick(self, frames):
        statistics = _statistics(frames["sleepstudy"], "Reaction", ["Days"], "Subject")
        cold = fit_statistics(statistics)
        warm = fit_statistics(statistics, start=cold.theta)
        assert warm.n_iter <= 4 < cold.n_iter <= 12
        assert warm.deviance == pytest.approx(cold.deviance, abs=1e-9)

    def test_start_of_the_wrong_length(self, frames):
        statistics = _statistics(frames["dyestuff"], "Yield", group="Batch")
        with pytest.raises(ValueError, match=r"theta must have shape \(1,\), got \(2,\)"):
            fit_statistics(statistics, start=[1.0, 2.0])

    def test_too_few_steps_are_not_called_converged(self, frames):
        statistics = _statistics(frames["orthodont"], "distance", ["age"], "Subject")
        fit = fit_statistics(statistics, max_iter=1)
        assert not fit.converged
        assert "max_iter=1" in fit.reason
        assert fit.deviance > 442.6367

    def test_criterion_is_left_at_the_optimum(self, frames):
        criterion = profiled_criterion(
            _statistics(frames["sleepstudy"], "Reaction", ["Days"], "Subject"), "ml"
        )
        optimum = optimize_criterion(criterion)
        rss, beta = criterion.rss, criterion.beta.copy()
        criterion.evaluate_factor(optimum.lambda_)
        assert criterion.rss == pytest.approx(rss, rel=1e-13)
        np.testing.assert_allclose(criterion.beta, beta, rtol=1e-10, atol=1e-12)

    def test_theta_has_a_diagonal_that_is_not_negative(self, dense):
        for seed in range(6):
            data = dense.problem(3, 2, m=9, rows=(4, 8), seed=seed)
            fit = _fit(data.y, data.X, data.Z, data.groups)
            assert (np.diag(fit.lambda_) >= 0).all()
            assert not np.triu(fit.lambda_, 1).any()


# The optimiser alone.


def _rosenbrock(x):
    a, b = x
    value = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    gradient = np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])
    hessian = np.array([[2 - 400 * (b - 3 * a**2), -400 * a], [-400 * a, 200.0]])
    return value, gradient, hessian


def _saddle(x):
    value = x[0] ** 2 + (x[1] ** 2 - 1) ** 2
    gradient = np.array([2 * x[0], 4 * x[1] * (x[1] ** 2 - 1)])
    return value, gradient, np.diag([2.0, 12 * x[1] ** 2 - 4])


def _walled(x):
    """Minus the logarithm of the distance to zero, and a slope: NaN on the other side."""
    if x[0] <= 0:
        return np.nan, np.full(1, np.nan), np.full((1, 1), np.nan)
    return x[0] - np.log(x[0]), 1 - 1 / x, np.array([[x[0] ** -2]])


class TestTrustRegion:
    @pytest.mark.parametrize("start", [(-1.2, 1.0), (10.0, -7.0), (1.0, 1.0), (0.0, 0.0)])
    def test_rosenbrock(self, start):
        result = minimize_newton(_rosenbrock, np.array(start), tol=1e-14)
        assert result.converged
        np.testing.assert_allclose(result.x, [1.0, 1.0], rtol=1e-6)
        assert result.value < 1e-12
        np.testing.assert_array_equal(result.hessian, _rosenbrock(result.x)[2])
        np.testing.assert_array_equal(result.gradient, _rosenbrock(result.x)[1])

    @pytest.mark.parametrize("start", [(0.0, 0.0), (0.5, 0.0), (3.0, 1e-9), (-2.0, -1e-300)])
    def test_saddle_is_left(self, start):
        result = minimize_newton(_saddle, np.array(start))
        assert result.converged
        assert result.value < 1e-9
        np.testing.assert_allclose(np.abs(result.x), [0.0, 1.0], atol=1e-5)

    def test_maximum_is_left(self):
        result = minimize_newton(
            lambda x: (np.cos(x).sum(), -np.sin(x), np.diag(-np.cos(x))), np.zeros(3)
        )
        assert result.converged
        np.testing.assert_allclose(np.cos(result.x), -1.0, atol=1e-8)

    @pytest.mark.parametrize("curvature", [1e-8, 1.0, 1e8])
    def test_quadratic_takes_one_step(self, curvature):
        rng = np.random.default_rng(0)
        root = rng.normal(size=(4, 4))
        hessian = curvature * (root @ root.T + np.eye(4))
        wanted = rng.normal(size=4)

        def quadratic(x):
            move = x - wanted
            return 0.5 * move @ hessian @ move, hessian @ move, hessian

        result = minimize_newton(quadratic, np.zeros(4), radius=1e6, tol=1e-12 * curvature)
        assert result.converged
        assert result.n_iter <= 2
        np.testing.assert_allclose(result.x, wanted, rtol=1e-8)

    def test_last_step_needs_the_value_alone(self):
        """The same end; gradient and Hessian are those of the last quadratic model."""
        calls = []

        def value_at(x):
            calls.append(x)
            return _rosenbrock(x)[0]

        start = np.array([-1.2, 1.0])
        result = minimize_newton(_rosenbrock, start, value_at=value_at)
        whole = minimize_newton(_rosenbrock, start)
        assert (len(calls), result.n_iter, result.value) == (1, whole.n_iter, whole.value)
        np.testing.assert_array_equal(result.x, calls[0])
        np.testing.assert_array_equal(result.x, whole.x)
        np.testing.assert_allclose(result.gradient, 0.0, atol=1e-9)
        np.testing.assert_allclose(result.hessian, whole.hessian, rtol=1e-2)

    def test_a_last_step_that_goes_up_is_not_taken(self):
        result = minimize_newton(
            lambda x: (x @ x, 2 * x, 2 * np.eye(1)), np.array([1e-6]), value_at=lambda x: 1.0
        )
        assert result.converged
        assert (result.x[0], result.value) == (1e-6, 1e-12)

    def test_singular_hessian(self):
        """A valley: the direction without slope or curvature is left alone."""

        def valley(x):
            s = x.sum() - 2.0
            return s**2, np.full(3, 2 * s), np.full((3, 3), 2.0)

        result = minimize_newton(valley, np.array([0.3, -1.0, 5.0]))
        assert result.converged
        assert result.x.sum() == pytest.approx(2.0, abs=1e-7)
        np.testing.assert_allclose(result.x - result.x[0], [0.0, -1.3, 4.7], atol=1e-6)

    def test_constant(self):
        result = minimize_newton(lambda x: (3.0, np.zeros(2), np.zeros((2, 2))), np.ones(2))
        assert result.converged
        np.testing.assert_array_equal(result.x, 1.0)

    def test_quartic_minimum_without_curvature(self):
        result = minimize_newton(
            lambda x: (np.sum(x**4), 4 * x**3, np.diag(12 * x**2)), np.array([2.0, -1.0])
        )
        assert result.converged
        assert result.value < 1e-8

    @pytest.mark.parametrize("start", [1e-6, 0.1, 40.0])
    def test_steps_into_nan_are_rejected(self, start):
        result = minimize_newton(_walled, np.array([start]))
        assert result.converged
        assert result.x[0] == pytest.approx(1.0, abs=1e-4)

    def test_infinity_is_rejected(self):
        def walled(x):
            value, gradient, hessian = _walled(x)
            return (np.inf if np.isnan(value) else value), gradient, hessian

        assert minimize_newton(walled, np.array([0.01]), radius=50.0).converged

    def test_max_iter(self):
        result = minimize_newton(_rosenbrock, np.array([-1.2, 1.0]), max_iter=3)
        assert not result.converged
        assert result.n_iter == 3
        assert result.reason == "max_iter=3 steps"
        assert result.value < _rosenbrock((-1.2, 1.0))[0]

    def test_wrong_derivatives_end_in_no_convergence(self):
        result = minimize_newton(
            lambda x: (x @ x, -2 * x, 2 * np.eye(2)), np.ones(2), max_iter=200
        )
        assert not result.converged
        assert result.reason == "steps vanished"
        np.testing.assert_array_equal(result.x, 1.0)

    def test_values_never_rise(self):
        seen = []
        minimize_newton(
            _rosenbrock, np.array([-1.2, 1.0]), callback=lambda step, x, value: seen.append(value)
        )
        assert len(seen) > 5
        assert (np.diff(seen) <= 0).all()

    def test_callback_stops(self):
        calls = []

        def stop(step, x, value):
            calls.append((step, *x))
            return step == 2

        result = minimize_newton(_rosenbrock, np.array([-1.2, 1.0]), callback=stop)
        assert [call[0] for call in calls] == [0, 1, 2]
        assert calls[0][1:] == (-1.2, 1.0)
        assert (result.converged, result.reason, result.n_iter) == (False, "callback", 2)

    def test_start_stays(self):
        start = np.array([-1.2, 1.0])
        minimize_newton(_rosenbrock, start)
        np.testing.assert_array_equal(start, [-1.2, 1.0])


def test_a_variance_that_hardly_differs_from_zero_is_certified():
    """Intercepts and slopes are the same numbers: the estimated variance across them is 1e-8."""
    import pandas

    from lmmfit import lmm

    rng = np.random.default_rng(0)
    n, m = 100_000, 2000
    frame = pandas.DataFrame({"x": rng.normal(size=n), "g": rng.integers(m, size=n)})
    frame["y"] = frame.x + rng.normal(size=m)[frame.g] * (1 + frame.x) + rng.normal(size=n)
    model = lmm("y ~ x + (x | g)", frame[frame.g != 1570])
    assert model.converged_
    assert abs(model.theta_[2]) < 1e-3
