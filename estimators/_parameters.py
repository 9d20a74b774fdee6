"""Quick check of constructor parameters against scikit-learn's constraints."""

from functools import cache

from sklearn import get_config
from sklearn.utils._param_validation import make_constraint


def check_parameters(estimator):
    """Check parameters as scikit-learn does, at the price that a small fit can bear.

    The constraints of a class are prepared once; scikit-learn prepares them at every fit,
    and needs the time of a fit of two hundred rows for it. Its own check still words the error.

    Parameters
    ----------
    estimator : BaseEstimator
        With ``_parameter_constraints``.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter has a wrong type or value.
    """
    for name, constraints in _prepared(type(estimator)):
        value = getattr(estimator, name)
        for constraint in constraints:
            if constraint.is_satisfied_by(value):
                break
        else:
            if not get_config()["skip_parameter_validation"]:
                estimator._validate_params()


@cache
def _prepared(kind):
    return tuple(
        (name, tuple(map(make_constraint, constraints)))
        for name, constraints in kind._parameter_constraints.items()
    )
