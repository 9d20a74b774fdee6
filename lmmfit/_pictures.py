"""Pictures of a fitted model as files."""

import re

from lmmfit._files import UserError, make_folder, one_line, replacing

__all__ = ["save_pictures"]


def save_pictures(model, X, y, folder, sample_weight=None):
    """Draw a fitted model and save the pictures as PNG.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or ndarray
        The rows it was fitted to.
    y : array-like
    folder : str
        Made if it is not there.
    sample_weight : ndarray, optional

    Returns
    -------
    saved : list of (str, str)
        Path and content of each picture.
    skipped : list of str
        Why a picture was left out.

    Raises
    ------
    UserError
        If matplotlib is missing or the folder cannot be written.
    """
    try:  # a Figure of its own: no screen is needed and pyplot's state is left alone
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("pictures need matplotlib: pip install 'lmmfit[plot]'.") from error
    from lmmfit.mixed.plots import CaterpillarDisplay, FittedLinesDisplay, ResidualsDisplay

    def draw_lines(ax):
        return FittedLinesDisplay.from_estimator(model, X, y, ax=ax)

    def draw_effects(group):
        return lambda ax: CaterpillarDisplay.from_estimator(model, group=group, ax=ax)

    def draw_residuals(ax):
        return ResidualsDisplay.from_estimator(model, X, y, sample_weight=sample_weight, ax=ax)

    effects = [("random-effects.png", "random effects with intervals", draw_effects(None))]
    if len(model.random_effects_) > 1:
        effects = [
            (
                f"random-effects-{_slug(group)}.png",
                f"random effects of {group}",
                draw_effects(group),
            )
            for group in model.random_effects_
        ]
    folder = make_folder(folder)
    saved, skipped = [], []
    for name, content, draw in (
        ("fitted-lines.png", "fitted lines by group", draw_lines),
        *effects,
        ("residuals.png", "residual diagnostics", draw_residuals),
    ):
        figure = Figure(layout="constrained")
        try:
            display = draw(figure)
        except ValueError as error:  # a linear model has no groups, a design may have no slope
            skipped.append(f"no picture of the {content}: {one_line(error)}")
            continue
        figure.set_size_inches(display.figsize)
        with replacing(folder / name) as stream:
            figure.savefig(stream, format="png", dpi=100)
        saved.append((str(folder / name), content))
    return saved, skipped


def _slug(group):
    """A name as a part of the name of a file."""
    return re.sub(r"[^\w.-]+", "-", group)
