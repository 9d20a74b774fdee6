import doctest
import subprocess
import sys

import numpy as np
import pytest

from lmmfit import datasets

# Loader -> rows, features, target, number of levels of each factor, mean of the response in R.
TABLES = {
    "sleepstudy": (180, ["Days", "Subject"], "Reaction", {"Subject": 18}, 298.507892),
    "dyestuff": (30, ["Batch"], "Yield", {"Batch": 6}, 1527.5),
    "dyestuff2": (30, ["Batch"], "Yield", {"Batch": 6}, 5.6656),
    "penicillin": (144, ["plate", "sample"], "diameter", {"plate": 24, "sample": 6}, 22.972222),
    "pastes": (
        60,
        ["batch", "cask", "sample"],
        "strength",
        {"batch": 10, "cask": 3, "sample": 30},
        60.053333,
    ),
    "orthodont": (
        108,
        ["age", "Subject", "Sex"],
        "distance",
        {"Subject": 27, "Sex": 2},
        24.023148,
    ),
    "machines": (54, ["Worker", "Machine"], "score", {"Worker": 6, "Machine": 3}, 59.65),
    "oats": (72, ["Block", "Variety", "nitro"], "yield", {"Block": 6, "Variety": 3}, 103.972222),
    "ratpup": (
        322,
        ["sex", "Litter", "Lsize", "Treatment"],
        "weight",
        {"sex": 2, "Litter": 27, "Treatment": 3},
        6.080963,
    ),
    "insteval": (
        73421,
        ["s", "d", "studage", "lectage", "service", "dept"],
        "y",
        {"s": 2972, "d": 1128, "studage": 4, "lectage": 6, "service": 2, "dept": 14},
        3.205745,
    ),
}

LEVELS = {
    ("sleepstudy", "Subject"): (
        "308 309 310 330 331 332 333 334 335 337 349 350 351 352 369 370 371 372".split()
    ),
    ("dyestuff", "Batch"): list("ABCDEF"),
    ("penicillin", "plate"): list("abcdefghijklmnopqrstuvwx"),
    ("pastes", "sample"): [f"{batch}:{cask}" for batch in "ABCDEFGHIJ" for cask in "abc"],
    ("orthodont", "Subject"): [f"F{i:02d}" for i in range(1, 12)]
    + [f"M{i:02d}" for i in range(1, 17)],
    ("orthodont", "Sex"): ["Male", "Female"],
    ("machines", "Machine"): ["A", "B", "C"],
    ("oats", "Block"): ["I", "II", "III", "IV", "V", "VI"],
    ("oats", "Variety"): ["Golden Rain", "Marvellous", "Victory"],
    ("ratpup", "sex"): ["Male", "Female"],
    ("ratpup", "Litter"): sorted(str(i) for i in range(1, 28)),
    ("ratpup", "Treatment"): ["Control", "Low", "High"],
    ("insteval", "s"): [str(i) for i in range(1, 2973)],
    ("insteval", "service"): ["0", "1"],
    ("insteval", "dept"): "15 5 10 12 6 7 4 8 9 14 1 3 11 2".split(),
}

SOURCES = {
    "sleepstudy": "Belenky",
    "dyestuff": "Davies, O. L. and Goldsmith",
    "dyestuff2": "Box, G. E. P. and Tiao",
    "penicillin": "Davies, O. L. and Goldsmith",
    "pastes": "Davies, O. L. and Goldsmith",
    "orthodont": "Potthoff",
    "machines": "Milliken",
    "oats": "Yates",
    "ratpup": "Dempster",
    "insteval": "ETH Zurich",
}


def load(name, **options):
    return getattr(datasets, f"load_{name}")(**options)


@pytest.mark.parametrize("name", TABLES)
class TestEveryTable:
    def test_arrays(self, name):
        n, features, target, levels, mean = TABLES[name]
        table = load(name)
        assert table.feature_names == features
        assert table.target_names == [target]
        assert table.frame is None
        assert table.data.shape == (n, len(features))
        assert table.target.shape == (n,)
        assert table.data.dtype == table.target.dtype == np.float64
        assert np.isfinite(table.data).all()
        assert table.target.mean() == pytest.approx(mean, abs=5e-7)
        assert {column: len(c) for column, c in table.categories.items()} == levels

    def test_codes_use_every_level(self, name):
        table = load(name)
        for column, levels in table.categories.items():
            codes = table.data[:, table.feature_names.index(column)]
            np.testing.assert_array_equal(np.unique(codes), np.arange(len(levels)))

    def test_frame_agrees_with_arrays(self, name):
        table, as_frame = load(name), load(name, as_frame=True)
        assert list(as_frame.frame) == [*table.feature_names, *table.target_names]
        assert list(as_frame.data) == table.feature_names
        assert as_frame.target.name == table.target_names[0]
        np.testing.assert_array_equal(as_frame.target, table.target)
        for j, column in enumerate(table.feature_names):
            values = as_frame.data[column]
            if column in table.categories:
                assert list(values.cat.categories) == table.categories[column].tolist()
                assert not values.cat.ordered
                values = values.cat.codes
            else:
                assert values.dtype == np.float64
            np.testing.assert_array_equal(values, table.data[:, j])

    def test_return_X_y(self, name):
        table = load(name)
        X, y = load(name, return_X_y=True)
        np.testing.assert_array_equal(X, table.data)
        np.testing.assert_array_equal(y, table.target)
        X, y = load(name, return_X_y=True, as_frame=True)
        assert list(X) == table.feature_names
        assert y.name == table.target_names[0]

    def test_description(self, name):
        n, features, target, *_ = TABLES[name]
        table = load(name)
        assert SOURCES[name] in table.DESCR
        assert f"**Rows.** {n}:" in table.DESCR
        for column in (*features, target):
            assert f"* ``{column}``: " in table.DESCR
        assert table.filename.endswith(".csv.gz")


@pytest.mark.parametrize(("name", "column"), LEVELS)
def test_levels_come_in_the_order_of_r(name, column):
    assert load(name).categories[column].tolist() == LEVELS[name, column]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("sleepstudy", {"Days": 0, "Subject": "308", "Reaction": 249.56}),
        ("oats", {"Block": "I", "Variety": "Victory", "nitro": 0, "yield": 111}),
        (
            "ratpup",
            {"sex": "Male", "Litter": "1", "Lsize": 12, "Treatment": "Control", "weight": 6.6},
        ),
        ("orthodont", {"age": 8, "Subject": "M01", "Sex": "Male", "distance": 26}),
    ],
)
def test_first_row(name, first):
    assert load(name, as_frame=True).frame.iloc[0].to_dict() == first


def test_options_are_keywords():
    with pytest.raises(TypeError):
        datasets.load_sleepstudy(True)


@pytest.mark.parametrize("name", datasets.__all__)
def test_examples(name):
    tests = doctest.DocTestFinder(recurse=False).find(getattr(datasets, name), name)
    assert tests[0].examples
    assert doctest.DocTestRunner().run(tests[0]).failed == 0


def test_only_frames_need_pandas():
    program = """if True:
        import sys
        sys.modules["pandas"] = None
        from lmmfit.datasets import load_insteval, load_sleepstudy, make_longitudinal
        assert load_insteval().data.shape == (73421, 6)
        assert make_longitudinal()[0].shape == (1000, 2)
        for function in (load_sleepstudy, make_longitudinal):
            try:
                function(as_frame=True)
            except ImportError as error:
                assert "pip install pandas" in str(error), error
            else:
                raise AssertionError(function)
        """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


class TestMakeLongitudinal:
    def test_defaults(self):
        X, y = datasets.make_longitudinal(random_state=0)
        assert X.shape == (1000, 2)
        assert y.shape == (1000,)
        np.testing.assert_array_equal(X[:, -1], np.repeat(np.arange(100), 10))

    def test_truth_explains_the_response(self):
        truth = datasets.make_longitudinal(
            20,
            (3, 9),
            n_features=3,
            random_slopes=2,
            intercept=5,
            beta=[1, -2, 0.5],
            sigma=0,
            return_truth=True,
            random_state=1,
        )
        x, groups = truth.data[:, :-1], truth.groups
        z = np.column_stack((np.ones(len(x)), x[:, :2]))
        expected = 5 + x @ truth.beta + np.sum(z * truth.random_effects[groups], axis=1)
        np.testing.assert_allclose(truth.target, expected, rtol=1e-12)
        np.testing.assert_array_equal(truth.data[:, -1], groups)
        assert truth.feature_names == ["x0", "x1", "x2", "group"]
        assert (truth.intercept, truth.sigma2, truth.frame) == (5.0, 0.0, None)
        assert truth.random_effects.shape == (20, 3)

    def test_moments(self):
        cov_re = np.array([[4.0, -1.0], [-1.0, 0.5]])
        truth = datasets.make_longitudinal(
            20_000,
            5,
            cov_re=cov_re,
            beta=[2],
            intercept=-3,
            sigma=1.5,
            return_truth=True,
            random_state=2,
        )
        b, x = truth.random_effects, truth.data[:, 0]
        residuals = truth.target + 3 - 2 * x - b[truth.groups, 0] - b[truth.groups, 1] * x
        np.testing.assert_allclose(np.cov(b.T), cov_re, atol=0.12)
        np.testing.assert_allclose(b.mean(axis=0), 0, atol=0.06)
        assert residuals.std() == pytest.approx(1.5, abs=0.02)
        assert residuals.mean() == pytest.approx(0, abs=0.02)
        assert x.std() == pytest.approx(1, abs=0.02)
        np.testing.assert_array_equal(truth.cov_re, cov_re)
        assert truth.sigma2 == 2.25

    def test_singular_covariance(self):
        truth = datasets.make_longitudinal(
            cov_re=[[1, 2], [2, 4]], return_truth=True, random_state=0
        )
        b = truth.random_effects
        np.testing.assert_allclose(b[:, 1], 2 * b[:, 0], atol=1e-7)

    def test_no_features(self):
        X, _ = datasets.make_longitudinal(4, 3, n_features=0, random_slopes=0)
        assert X[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    @pytest.mark.parametrize(
        ("options", "smallest", "largest"),
        [
            ({"n_per_group": (2, 6)}, 2, 6),
            ({"n_per_group": 4, "unbalanced": True}, 1, 7),
            ({"n_per_group": 4}, 4, 4),
        ],
    )
    def test_group_sizes(self, options, smallest, largest):
        X, _ = datasets.make_longitudinal(1000, **options, random_state=0)
        sizes = np.unique(X[:, -1], return_counts=True)[1]
        assert (len(sizes), sizes.min(), sizes.max()) == (1000, smallest, largest)
        assert sizes.mean() == pytest.approx(4, abs=0.3)

    @pytest.mark.parametrize(
        "make_seed",
        [lambda: 7, lambda: np.random.default_rng(7), lambda: np.random.RandomState(7)],
    )
    def test_reproducible(self, make_seed):
        seed = make_seed()
        X, y = datasets.make_longitudinal(unbalanced=True, random_state=make_seed())
        X2, y2 = datasets.make_longitudinal(unbalanced=True, random_state=seed)
        np.testing.assert_array_equal(X, X2)
        np.testing.assert_array_equal(y, y2)
        if not isinstance(seed, int):
            assert datasets.make_longitudinal(random_state=seed)[1][0] != y[0]

    def test_frame(self):
        truth = datasets.make_longitudinal(
            3, 2, n_features=2, as_frame=True, return_truth=True, random_state=0
        )
        X, y = datasets.make_longitudinal(3, 2, n_features=2, random_state=0)
        assert list(truth.frame) == ["x0", "x1", "group", "y"]
        assert list(truth.data) == ["x0", "x1", "group"]
        assert truth.target.name == "y"
        assert truth.data["group"].dtype.kind == "i"
        np.testing.assert_array_equal(truth.data.to_numpy(), X)
        np.testing.assert_array_equal(truth.target, y)

    def test_string_groups(self):
        X, _ = datasets.make_longitudinal(
            124, 1, string_groups=True, as_frame=True, random_state=0
        )
        assert X["group"].iloc[[0, 123]].tolist() == ["g000000", "g000123"]
        assert X["group"].is_monotonic_increasing

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"n_groups": 0}, ValueError, "n_groups == 0, must be >= 1"),
            ({"n_groups": 2.5}, TypeError, "n_groups must be an instance of int"),
            ({"n_per_group": 0}, ValueError, "n_per_group == 0, must be >= 1"),
            ({"n_per_group": (5, 2)}, ValueError, r"1 <= low <= high, got \(5, 2\)"),
            ({"n_per_group": (1, 2, 3)}, ValueError, r"got \(1, 2, 3\)"),
            ({"n_per_group": 1.5}, ValueError, "got 1.5"),
            ({"n_features": -1}, ValueError, "n_features == -1"),
            ({"random_slopes": 2}, ValueError, "random_slopes=2 exceeds n_features=1"),
            ({"beta": [1, 2]}, ValueError, r"beta must be an array of shape \(1,\), got shape"),
            ({"beta": ["a"]}, TypeError, "beta must be numeric"),
            ({"intercept": np.inf}, ValueError, "intercept must be finite, got inf"),
            ({"intercept": [1]}, ValueError, "intercept must be a number"),
            ({"sigma": -1}, ValueError, "sigma == -1.0, must be >= 0"),
            ({"sigma": np.nan}, ValueError, "sigma must be finite, got nan"),
            ({"cov_re": [[1]]}, ValueError, r"cov_re must be an array of shape \(2, 2\)"),
            ({"cov_re": [[1, 0], [1, 1]]}, ValueError, "cov_re must be symmetric"),
            ({"cov_re": [[1, 2], [2, 1]]}, ValueError, "an eigenvalue of -1;"),
            ({"string_groups": True}, ValueError, "needs as_frame=True"),
        ],
    )
    def test_errors(self, options, error, message):
        with pytest.raises(error, match=message):
            datasets.make_longitudinal(**options)
