"""Constructor parameters: refused with the name, the value and what is allowed."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.utils._param_validation import InvalidParameterError

from lmmfit import LinearMixedModel

X = np.column_stack([np.linspace(0.0, 1.0, 24), np.arange(24) % 6])
Y = np.sin(np.arange(24.0))
BAD = [
    ("random", 3),
    ("fixed", ["x0"]),
    ("method", "REML"),
    ("fit_intercept", "yes"),
    ("new_levels", "drop"),
    ("max_iter", 0),
    ("max_iter", 2.5),
    ("tol", -1.0),
    ("tol", "small"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_bad_values_are_named(name, value, call):
    model = LinearMixedModel("(1 | x1)").fit(X, Y)
    before = model.deviance_
    model.set_params(**{name: value})
    with pytest.raises(
        InvalidParameterError, match=f"'{name}' parameter of LinearMixedModel"
    ) as e:
        getattr(model, call)(X, Y)
    assert repr(value) in str(e.value)
    assert model.deviance_ == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random", None),
        ("fixed", "1"),
        ("method", np.str_("ml")),
        ("fit_intercept", np.bool_(False)),
        ("max_iter", np.int64(50)),
        ("tol", np.float32(1e-6)),
        ("tol", 0),
    ],
)
def test_good_values_of_every_kind(name, value):
    model = LinearMixedModel("(1 | x1)").set_params(**{name: value})
    assert np.isfinite(model.fit(X, Y).deviance_)


def test_scikit_learn_can_be_told_not_to_check():
    model = LinearMixedModel("(1 | x1)", new_levels="drop")
    with config_context(skip_parameter_validation=True):
        assert np.isfinite(model.fit(X, Y).deviance_)
    with pytest.raises(InvalidParameterError, match="new_levels"):
        model.fit(X, Y)
