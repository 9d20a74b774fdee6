"""What every fit does around the work itself: errors change nothing, callbacks are told."""

from contextlib import contextmanager

__all__ = ["begin_callbacks", "unchanged_on_error"]


@contextmanager
def unchanged_on_error(model):
    """Leave an estimator as it was if the fit within ends in an error.

    Parameters
    ----------
    model : BaseEstimator
    """
    before = model.__dict__.copy()
    try:
        yield
    except BaseException:
        model.__dict__.clear()
        model.__dict__.update(before)
        raise


def begin_callbacks(model, X, y, **tasks):
    """Tell scikit-learn's callbacks that a fit begins.

    Parameters
    ----------
    model : CallbackSupportMixin
    X, y : array-like
        As fit got them, or as it sees them.
    **tasks
        Subtasks, as ``_init_callback_context`` takes them.

    Returns
    -------
    CallbackContext or None
        None where there are no callbacks.
    """
    if not (hasattr(model, "_skl_callbacks") or hasattr(model, "_parent_callback_ctx")):
        return None
    context = model._init_callback_context(**tasks)
    context.call_on_fit_task_begin(estimator=model, X=X, y=y)
    return context
