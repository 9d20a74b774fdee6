"""What LinearMixedModel does with many responses at once."""

import copy

import numpy as np

from lmmfit import mixed  # its rooms open at first use: a fit needs few of them
from lmmfit.estimators._publish import publish
from lmmfit.mixed.prediction import predict_many, predict_rows

_PER_TASK = 256  # responses that one callback task covers


def is_many(y):
    """Whether y holds several responses."""
    shape = getattr(y, "shape", None)
    if shape is None and isinstance(y, list | tuple) and y and isinstance(y[0], list | tuple):
        return len(y[0]) > 1
    return shape is not None and len(shape) == 2 and shape[1] > 1


def response_names(Y):
    """Names of the responses: the columns of a data frame, or numbers."""
    names = getattr(Y, "columns", None)
    return list(range(np.shape(Y)[1])) if names is None else [str(name) for name in names]


def optimize_many(model, design, columns, Y, weight, context):
    """Fit all responses; callbacks learn of every few hundred that are done."""
    done = 0

    def tick(count):
        nonlocal done
        for task in range(done // _PER_TASK, (done + count) // _PER_TASK):
            own = context.subcontext(task_name="responses", task_id=task)
            own.call_on_fit_task_begin(estimator=model)
            own.call_on_fit_task_end(estimator=model)
        done += count

    return mixed.fit_many(
        design, columns, Y, model.method, sample_weight=weight, tol=model.tol,
        max_iter=model.max_iter, n_jobs=model.n_jobs, tick=None if context is None else tick,
    )  # fmt: skip


def n_tasks(k):
    """Callback tasks of k responses."""
    return k // _PER_TASK


def predict_responses(model, columns, conditional, return_std):
    """Predictions of all responses, (n, k)."""
    if not return_std:
        return predict_many(
            model.result_, model.design_, columns,
            conditional=conditional, new_levels=model.new_levels,
        )  # fmt: skip
    found = [
        predict_rows(
            model.result_.response(j), model.design_, columns, conditional=conditional,
            return_std=True, new_levels=model.new_levels,
        )
        for j in range(len(model.result_))
    ]  # fmt: skip
    return tuple(np.column_stack(part) for part in zip(*found, strict=True))


def one_response(model, which):
    """The fitted model of one response."""
    if not hasattr(model, "response_names_"):
        raise ValueError("the model was fitted to one response: it is that model.")
    names = model.response_names_
    if isinstance(which, str) or which not in range(len(names)):
        if which not in names:
            raise ValueError(
                f"{which!r} is no response; there are {len(names)}, such as {names[:3]}."
            )
        which = names.index(which)
    one = copy.copy(model)
    del one.response_names_
    publish(one, model.design_, model.result_.response(int(which)))
    return one
