"""The fit behind a model, for functions of one fitted response."""

__all__ = ["fit_of"]


def fit_of(model):
    """The fit of a model of one response.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    MixedFit

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If it is not fitted, or was fitted to many responses.

    Examples
    --------
    >>> from lmmfit import LinearMixedModel
    >>> from lmmfit.mixed.fitted import fit_of
    >>> fit_of(LinearMixedModel("(1 | g)"))
    Traceback (most recent call last):
    ValueError: the LinearMixedModel is not fitted yet: call fit first.
    """
    if not hasattr(model, "result_"):
        kind = type(model).__name__
        if not hasattr(model, "fit"):
            raise TypeError(f"a fitted LinearMixedModel is needed, got {model!r} of type {kind}.")
        raise ValueError(f"the {kind} is not fitted yet: call fit first.")
    names = getattr(model, "response_names_", None)
    if names is not None:
        raise ValueError(
            f"the model was fitted to {len(names)} responses: take one by "
            f"model.response({names[0]!r})."
        )
    return model.result_
