"""The contract of scikit-learn, in full, with and without random effects."""

import pytest
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from lmmfit import LinearMixedModel, SecondOrderMLP

MODELS = [
    LinearMixedModel(),
    LinearMixedModel(random="(1 | x0)"),
    LinearMixedModel(random="(0 + x1 | x0)"),
    LinearMixedModel(random="(1 + x1 || x0)"),
    SecondOrderMLP(),
    SecondOrderMLP(loss="log_loss"),
    SecondOrderMLP((5,), loss="huber"),
    SecondOrderMLP((5,), loss="poisson"),
    SecondOrderMLP((5,), optimizer="scg"),
    SecondOrderMLP((5,), loss="log_loss", optimizer="sgd"),
]

NEGATIVE_COUNTS = {
    "check_regressor_multioutput": "the check draws negative numbers, which are no counts"
}


def expected_failures(estimator):
    return NEGATIVE_COUNTS if getattr(estimator, "loss", None) == "poisson" else {}


# The data of the checks are random numbers: groups of one row, more columns than rows.
DESERVED = [
    "ignore:the design is rank-deficient:UserWarning",
    "ignore:the fixed effects fit .* exactly:UserWarning",
    "ignore:the random effects .* their variance cannot be told:UserWarning",
    "ignore:the training ended before it converged",
]


@pytest.mark.filterwarnings(*DESERVED)
@parametrize_with_checks(MODELS, expected_failed_checks=expected_failures)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_the_contract_is_checked_in_full():
    generator = estimator_checks_generator(MODELS[1])
    names = {getattr(check, "func", check).__name__ for _, check in generator}
    assert len(names) > 45
    assert {
        "check_sample_weight_equivalence_on_dense_data",
        "check_methods_sample_order_invariance",
        "check_estimators_nan_inf",
        "check_regressors_train",
    } <= names
