"""The diagnosis of designs: numbers against statsmodels, words against what was built in."""

import warnings

import numpy as np
import pandas
import pytest
import statsmodels.api as sm

from lmmfit import LinearMixedModel, lmm
from lmmfit.linalg import diagnose_design
from lmmfit.mixed import MixedStatistics, diagnose_fixed_effects


def variance_inflation(a, j):
    """1 / (1 - R**2) of the regression on the others, about the mean if they have a constant."""
    return 1.0 / (1.0 - sm.OLS(a[:, j], np.delete(a, j, axis=1)).fit().rsquared)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class TestNumbers:
    def test_example_3_13(self):
        x = np.arange(101.0, 106.0)
        found = diagnose_design(np.column_stack([np.ones(5), x]))
        assert f"{found.condition_number:.4e}" == "7.5038e+03"
        assert f"{found.normal_condition_number:.4e}" == "5.6307e+07"
        assert found.orthogonal_if_centred
        assert found.centred_condition_number == pytest.approx(np.sqrt(2.0))
        assert found.centred_scaled_condition_number == pytest.approx(1.0)

    @pytest.mark.parametrize("constant", ["first", "last", "none"])
    def test_are_those_of_their_definitions(self, rng, constant):
        x = rng.normal(3.0, 1.0, (30, 3)) @ rng.standard_normal((3, 3)) * [1.0, 10.0, 0.1]
        ones = np.full((30, 1), 2.0)
        a = np.hstack({"first": [ones, x], "last": [x, ones], "none": [x]}[constant])
        found = diagnose_design(a)
        at = {"first": 0, "last": 3, "none": None}[constant]
        assert found.constant == at
        assert found.rank == a.shape[1]
        assert found.condition_number == pytest.approx(np.linalg.cond(a))
        unit = a / np.linalg.norm(a, axis=0)
        assert found.scaled_condition_number == pytest.approx(np.linalg.cond(unit))
        for j in range(a.shape[1]):
            if j != at:
                assert found.vif[j] == pytest.approx(variance_inflation(a, j))
        if at is None:
            assert np.isnan(found.centred_condition_number)
            return
        inverse = np.linalg.inv(a.T @ a)
        assert found.vif[at] == pytest.approx(inverse[at, at] * (a[:, at] @ a[:, at]))
        centred = a - np.where(np.arange(4) == at, 0.0, a.mean(axis=0))
        assert found.centred_condition_number == pytest.approx(np.linalg.cond(centred))
        centred /= np.linalg.norm(centred, axis=0)
        assert found.centred_scaled_condition_number == pytest.approx(np.linalg.cond(centred))

    def test_a_constant_in_indicator_columns(self, rng):
        groups = np.eye(3)[np.arange(60) % 3]
        a = np.hstack([groups, rng.normal(5.0, 1.0, (60, 2))])
        found = diagnose_design(a)
        assert found.constant is None
        for j in (3, 4):
            assert found.vif[j] == pytest.approx(variance_inflation(a, j))
        inverse = np.linalg.inv(a.T @ a)
        assert found.vif[0] == pytest.approx(inverse[0, 0] * (a[:, 0] @ a[:, 0]))

    def test_orthogonal(self):
        found = diagnose_design(np.eye(4)[:, :3])
        np.testing.assert_allclose(found.vif, 1.0)
        assert found.dependencies == ()
        assert "no near dependencies" in str(found)
        assert "advice" not in str(found)


class TestWords:
    def test_exact(self, rng):
        x = rng.normal(50.0, 3.0, (40, 2))
        frame = pandas.DataFrame({"one": 1.0, "a": x[:, 0], "b": x[:, 1]})
        frame["sum"] = 2.0 * frame.a - 0.5 * frame.b + 7.0
        found = diagnose_design(frame)
        assert found.names == ("one", "a", "b", "sum")
        assert found.rank == 3
        assert found.condition_number == found.scaled_condition_number == np.inf
        assert np.isinf(found.vif[1:]).all()
        assert np.isfinite(found.vif[0]) or np.isinf(found.vif[0])
        (dependency,) = (d for d in found.dependencies if d.centred)
        assert str(dependency) == "'sum' is a constant + 2 * 'a' - 0.5 * 'b'"
        assert "drop the columns that the others determine" in str(found)

    def test_near(self, rng):
        x = rng.standard_normal((200, 3))
        x[:, 2] = 3.0 * x[:, 0] + 1e-4 * rng.standard_normal(200)
        found = diagnose_design(x, names=["a", "b", "c"])
        (dependency,) = found.dependencies
        assert dependency.column == "c"
        assert [name for _, name in dependency.terms] == ["a"]  # b does not matter
        assert dependency.terms[0][0] == pytest.approx(3.0, rel=1e-4)
        assert dependency.residual == pytest.approx(1e-4 / 3.0, rel=0.2)
        assert "neither centring nor scaling helps" in str(found)

    def test_two_at_once(self, rng):
        x = rng.standard_normal((100, 5))
        x[:, 3] = x[:, 0] - x[:, 1] + 1e-5 * rng.standard_normal(100)
        x[:, 4] = 2.0 * x[:, 2] + 1e-3 * rng.standard_normal(100)
        told = {d.column: {name for _, name in d.terms} for d in diagnose_design(x).dependencies}
        assert told == {"x3": {"x0", "x1"}, "x4": {"x2"}}

    def test_centring_or_scaling_is_advised(self, rng):
        year = 2000.0 + rng.integers(0, 9, 50)
        ones = np.ones(50)
        far = diagnose_design(np.column_stack([ones, year, rng.standard_normal(50)]))
        assert "advice: subtract the means of the columns." in str(far)
        assert str(far.dependencies[0]).startswith("'x1' is nearly 2004 * 'x0'")
        units = diagnose_design(rng.standard_normal((50, 2)) * [1.0, 1e6])
        assert "advice: the columns have very different units; scale them." in str(units)

    def test_zero_and_constant_columns(self):
        found = diagnose_design(np.column_stack([np.ones(4), np.zeros(4), np.arange(4.0)]))
        assert found.rank == 2
        assert "'x1' is a constant" in str(found)
        twice = diagnose_design(np.column_stack([np.ones(4), np.full(4, 3.0), np.arange(4.0)]))
        assert twice.rank == 2
        assert np.isinf(twice.vif[:2]).all() or np.isinf(twice.vif[1])

    def test_many_terms_are_cut(self, rng):
        x = rng.standard_normal((60, 10))
        x[:, 9] = x[:, :9].sum(axis=1)
        (dependency,) = diagnose_design(x).dependencies
        assert str(dependency).endswith("+ 3 more")


class TestInput:
    def test_bad(self):
        with pytest.raises(ValueError, match=r"fewer rows than columns, \(2, 3\)"):
            diagnose_design(np.ones((2, 3)))
        with pytest.raises(ValueError, match="names has 1 names; A has 2 columns"):
            diagnose_design(np.eye(2), names=["a"])
        with pytest.raises(ValueError, match=r"A\[0, 1\] is nan"):
            diagnose_design([[1.0, np.nan], [1.0, 1.0]])
        with pytest.raises(TypeError, match="A must hold"):
            diagnose_design(pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))

    @pytest.mark.parametrize("units", [1e-200, 1e200])
    def test_extreme_units(self, rng, units):
        a = rng.standard_normal((20, 3))
        found = diagnose_design(a * [1.0, units, 1.0])
        np.testing.assert_allclose(found.vif, diagnose_design(a).vif)
        assert found.scaled_condition_number == pytest.approx(
            diagnose_design(a).scaled_condition_number
        )


class TestMixedModel:
    @pytest.fixture
    def frame(self, rng):
        g = np.repeat(np.arange(12), 8)
        x, z = rng.normal(3.0, 1.0, (2, 96))
        y = x - z + rng.standard_normal(12)[g] + rng.standard_normal(96)
        return pandas.DataFrame({"y": y, "x": x, "z": z, "g": g})

    def test_numbers_are_those_of_the_design(self, frame):
        model = lmm("y ~ x + z + (x | g)", frame)
        found = diagnose_fixed_effects(model.statistics_)
        design = np.column_stack([np.ones(96), frame.x, frame.z])
        expected = diagnose_design(design, names=["(Intercept)", "x", "z"])
        order = [found.names.index(name) for name in expected.names]
        np.testing.assert_allclose(found.vif[order], expected.vif, rtol=1e-9)
        for name in ("condition_number", "scaled_condition_number", "centred_condition_number"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)

    def test_weights_count(self, frame, rng):
        weights = rng.uniform(0.5, 2.0, 96)
        x = frame[["x", "z"]].to_numpy()
        design = np.column_stack([np.ones(96), x])
        statistics = MixedStatistics.from_arrays(
            frame.y, design, np.ones((96, 1)), frame.g, sample_weight=weights
        )
        found = diagnose_fixed_effects(statistics)
        rooted = design * np.sqrt(weights)[:, None]
        assert found.condition_number == pytest.approx(np.linalg.cond(rooted), rel=1e-9)

    def test_dropped_columns_are_explained(self, frame):
        frame["sum"] = 2.0 * frame.x - frame.z + 1.0
        with pytest.warns(
            UserWarning, match=r"rank-deficient: \['sum'\].*'sum' is a constant \+ 2"
        ):
            model = lmm("y ~ x + z + sum + (1 | g)", frame)
        assert "'sum' is a constant + 2 * 'x' - 1 * 'z'" in str(model.summary())

    def test_near_collinearity_is_told(self, frame, rng):
        frame["near"] = 2.0 * frame.x + 5.0 + 1e-4 * rng.standard_normal(96)
        with pytest.warns(UserWarning, match="nearly collinear: 'near' is nearly a constant .* 2"):
            model = lmm("y ~ x + z + near + (1 | g)", frame)
        assert model.converged_
        assert "the fixed effects are nearly collinear" in str(model.summary())
        with pytest.warns(UserWarning, match="nearly collinear"):
            LinearMixedModel("(1 | g)").fit(frame[["x", "z", "near", "g"]], frame.y)

    def test_mild_collinearity_is_not(self, frame, rng):
        frame["near"] = 2.0 * frame.x + 0.01 * rng.standard_normal(96)
        frame["far"] = 1e6 + frame.z  # an offset is nothing to a model with an intercept
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = lmm("y ~ x + near + far + (1 | g)", frame)
        assert "collinear" not in str(model.summary())
