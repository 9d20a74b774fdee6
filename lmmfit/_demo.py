"""The demonstration: ``python -m lmmfit``.

Fits the sleepstudy data, compares with statsmodels, cross-validates, and saves pictures.
Every part that needs a library which is not there says so, and the rest goes on.
"""

import os
import shlex
import shutil
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from lmmfit._files import UserError, make_folder, one_line, replacing
from lmmfit._version import __version__

__all__ = ["run_demo"]

_FORMULA = "Reaction ~ Days + (Days | Subject)"
_REPEATS = 9


def run_demo(folder):
    """Run the demonstration and print it.

    Parameters
    ----------
    folder : str
        Where the pictures and a copy of the data go; made if it is not there.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder = make_folder(folder)
    print(f"lmmfit {__version__}: linear mixed models\n")
    print("Sleepstudy: reaction times (ms) of 18 subjects on ten days of little sleep.")
    print("Each subject has an intercept and a slope of its own, drawn from a population.")
    X, y, frame, fit = _load()
    _heading("1. Fit")
    # Half a minute of silence would look like a fault.
    print("(The first fit on a machine compiles its kernels; that takes a while.)\n", flush=True)
    start = time.perf_counter()
    model = fit()
    first = time.perf_counter() - start
    print(model.summary())
    print(
        f"\nFirst fit of this process: {_seconds(first)}; compiled code was loaded or made in it."
    )
    _heading("2. Beside statsmodels MixedLM")
    _compare(model, frame, fit)
    _heading("3. Cross-validation")
    _cross_validate(X, y)
    _heading("4. Pictures")
    _draw(model, X, y, folder)
    _next(folder)


def _load():
    """Load the data, as data frame where pandas is there, and how to fit a model to them."""
    from lmmfit import LinearMixedModel, lmm
    from lmmfit.datasets import load_sleepstudy

    try:
        bunch = load_sleepstudy(as_frame=True)
    except ImportError:
        print("\npandas is not installed (pip install 'lmmfit[demo]'): the data are an array, its")
        print("column x0 the days and x1 the subject.")
        X, y = load_sleepstudy(return_X_y=True)
        return X, y, None, lambda: LinearMixedModel("(x0 | x1)").fit(X, y)
    return bunch.data, bunch.target, bunch.frame, lambda: lmm(_FORMULA, bunch.frame)


def _compare(model, frame, fit):
    """Print our numbers beside those of statsmodels, and the times of both."""
    try:
        import statsmodels
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError:
        print("statsmodels is not installed: pip install 'lmmfit[demo]' adds this comparison.")
        return
    if frame is None:
        print("This comparison needs pandas: pip install 'lmmfit[demo]'.")
        return

    def fit_rival():
        return MixedLM.from_formula(
            "Reaction ~ Days", frame, groups="Subject", re_formula="~ Days"
        ).fit(reml=True)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rival, rival_time = fit_rival(), _median_time(fit_rival)
    own_time = _median_time(fit)
    print(f"{'':<22}{'lmmfit':>14}{'statsmodels':>14}{'difference':>13}")
    for name, own, other in zip(
        _quantities(), _numbers(model), _rival_numbers(rival), strict=True
    ):
        print(f"{name:<22}{own:>14.5f}{other:>14.5f}{own - other:>13.1e}")
    print(
        f"{'time of a refit':<22}{_seconds(own_time):>14}{_seconds(rival_time):>14}"
        f"{_ratio(own_time, rival_time):>13}"
    )
    print(
        f"\nstatsmodels {statsmodels.__version__}. Times are medians of {_REPEATS} fits from a "
        "formula and a data frame."
    )
    for message in dict.fromkeys(one_line(item.message) for item in caught):
        print(f"note from statsmodels: {message}")


def _quantities():
    effects = ("(Intercept)", "Days")
    return [
        "REML criterion",
        *effects,
        *(f"SE {name}" for name in effects),
        *(f"SD {name}" for name in effects),
        "correlation",
        "residual SD",
    ]


def _numbers(model):
    covariance = next(iter(model.cov_re_.values()))
    return [
        model.deviance_,
        *model.fixed_effects_["estimate"],
        *model.fixed_effects_["std_error"],
        *_deviations(covariance),
        np.sqrt(model.sigma2_),
    ]


def _rival_numbers(result):
    return [
        -2.0 * result.llf,
        *result.fe_params,
        *result.bse_fe,
        *_deviations(np.asarray(result.cov_re)),
        np.sqrt(result.scale),
    ]


def _deviations(covariance):
    """Two standard deviations and the correlation."""
    first, second = np.sqrt(np.diag(covariance))
    return first, second, covariance[0, 1] / (first * second)


def _cross_validate(X, y):
    """Print the errors on new rows and on new subjects, beside those of a linear model."""
    from sklearn.base import clone
    from sklearn.model_selection import GroupKFold, KFold, cross_val_score

    from lmmfit import LinearMixedModel

    days, subject = ("Days", "Subject") if hasattr(X, "columns") else ("x0", "x1")
    models = {
        f"mixed model ({days} | {subject})": LinearMixedModel(f"({days} | {subject})"),
        f"linear model in {days}": LinearMixedModel(fixed=days),
    }
    labels = X[subject] if hasattr(X, "columns") else X[:, 1]
    splits = [(KFold(5, shuffle=True, random_state=0), None), (GroupKFold(5), labels)]
    print(f"{'RMSE in ms, 5 folds':<32}{'new rows of':>16}{'rows of':>18}")
    print(f"{'':<32}{'known subjects':>16}{'unseen subjects':>18}")
    for name, estimator in models.items():
        errors = [
            -cross_val_score(
                clone(estimator), X, y, groups=groups, cv=split,
                scoring="neg_root_mean_squared_error",
            ).mean()
            for split, groups in splits
        ]  # fmt: skip
        print(f"{name:<32}{errors[0]:>16.1f}{errors[1]:>18.1f}")
    print("\nA subject's other rows nearly halve the error; of an unseen subject the mixed model")
    print("knows no more than the population, and predicts that.")


def _draw(model, X, y, folder):
    """Save the pictures."""
    from lmmfit._pictures import save_pictures

    try:
        saved, _ = save_pictures(model, X, y, folder)
    except UserError as error:
        if isinstance(error.__cause__, ImportError):
            print(str(error))
            return
        raise
    for path, content in saved:
        print(f"{path:<38} {content}")


def _next(folder):
    """Leave the data beside the pictures, and name commands that use them."""
    from lmmfit.datasets import load_sleepstudy

    table = folder / "sleepstudy.csv.gz"
    with open(load_sleepstudy().filename, "rb") as source, replacing(table) as target:
        shutil.copyfileobj(source, target)
    command = f"{_interpreter()} -m lmmfit"
    fit = f'{command} fit "{_FORMULA}" {shlex.quote(str(table))}'
    _heading("Next")
    print(f"The data are in {table}. Try")
    print(f"  {fit} --ml")
    print(f"  {fit.replace('(Days | Subject)', '(Days || Subject)')}")
    print(f"  {command} fit --help")


def _interpreter():
    """Name the running Python as one would type it here."""
    executable = Path(sys.executable)
    try:
        inside = executable.relative_to(Path.cwd())
    except ValueError:
        return "python"
    return shlex.quote(os.fspath(inside))


def _median_time(call):
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _seconds(value):
    return f"{value:.1f} s" if value >= 1.0 else f"{1000 * value:.1f} ms"


def _ratio(own, other):
    return f"{other / own:.0f} x faster" if other >= own else f"{own / other:.1f} x slower"


def _heading(text):
    print(f"\n{text}\n{'-' * len(text)}")
