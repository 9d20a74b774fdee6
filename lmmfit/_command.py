"""``python -m lmmfit fit``: a model from a formula and a file."""

import sys

import numpy as np

from lmmfit._files import (
    UserError,
    check_target,
    make_folder,
    notes_on_stderr,
    one_line,
    read_table,
    write_table,
)
from lmmfit._pictures import save_pictures

__all__ = ["run_fit"]


def run_fit(arguments):
    """Fit, print the summary, predict and draw, as the arguments say.

    Parameters
    ----------
    arguments : argparse.Namespace
        With ``formula, data, ml, weights, predict, output, plot``.

    Raises
    ------
    UserError
        If the formula, a file or a column is at fault.
    """
    if arguments.output is not None and arguments.predict is None:
        raise UserError("--output says where predictions go: give --predict FILE as well.")
    if arguments.output is not None:
        check_target(arguments.output)
    if arguments.plot is not None:
        make_folder(arguments.plot)
    with notes_on_stderr():
        try:
            _run(arguments)
        except (ValueError, TypeError, NotImplementedError, ImportError) as error:
            raise UserError(one_line(error)) from error


def _run(arguments):
    from lmmfit import lmm
    from lmmfit.mixed.formula import mentioned_columns, needed_columns
    from lmmfit.mixed.terms import parse_random, split_formula

    _, fixed, random = split_formula(arguments.formula)
    terms = parse_random(random) if random else ()
    groups = list(dict.fromkeys(name for term in terms for name in term.factors))
    data, new = _read_both(arguments.data, arguments.predict, groups)
    if arguments.weights is not None and arguments.weights not in data.columns:
        raise UserError(
            f"--weights names the column {arguments.weights!r}; the columns of {arguments.data!r} "
            f"are {list(data.columns)}."
        )
    used = mentioned_columns([fixed, random or ""], list(data.columns))
    if new is not None:  # an error before the work, not after it
        _check_new(new, used, arguments.predict)
    model = lmm(
        arguments.formula, data, method="ml" if arguments.ml else "reml",
        sample_weight=arguments.weights,
    )  # fmt: skip
    to_screen = arguments.predict is not None and arguments.output is None
    # Predictions on standard output must be a clean table: the words go elsewhere then.
    words = sys.stderr if to_screen else sys.stdout
    print(model.summary(), file=words)
    if arguments.plot is not None:
        needed = needed_columns(arguments.formula, list(data.columns))
        needed += [arguments.weights] * (arguments.weights is not None)
        _draw(model, data.dropna(subset=needed), arguments, words)
    if arguments.predict is not None:
        write_table(_predict(model, new, used, arguments.predict), arguments.output)
        if not to_screen:
            print(f"\nPredictions of {len(new)} rows: {arguments.output}", file=words)


def _read_both(path, other, groups):
    """Read the data and the table to predict, with labels of the same type in both."""
    data = read_table(path)
    if other is None:
        return data, None
    new = read_table(other)
    # "7" beside "B2" is text, in a file with nothing but numbers it is read as a number.
    differ = [
        name
        for name in groups
        if name in data.columns
        and name in new.columns
        and _is_text(data[name]) != _is_text(new[name])
    ]
    if differ:
        return read_table(path, text=differ), read_table(other, text=differ)
    return data, new


def _check_new(new, used, path):
    """Refuse a table that lacks a column, or has those that we add."""
    absent = [name for name in used if name not in new.columns]
    if absent:
        raise UserError(
            f"{path!r} lacks the columns {absent}, which the formula uses; its columns are "
            f"{list(new.columns)}."
        )
    taken = [name for name in ("prediction", "std") if name in new.columns]
    if taken:
        raise UserError(f"{path!r} already has the columns {taken}: rename or drop them first.")


def _is_text(column):
    return column.dtype.kind not in "biuf"


def _draw(model, data, arguments, words):
    """Save the pictures and say where."""
    from lmmfit.mixed.columns import as_columns
    from lmmfit.mixed.design import evaluate_expression

    response = arguments.formula.split("~")[0].strip()
    y = evaluate_expression(response, as_columns(data), "the response")
    weight = None if arguments.weights is None else data[arguments.weights].to_numpy()
    saved, skipped = save_pictures(model, data, y, arguments.plot, weight)
    print("\nPictures:", file=words)
    for path, content in saved:
        print(f"  {path}: {content}", file=words)
    for reason in skipped:
        print(f"note: {reason}", file=sys.stderr)


def _predict(model, new, used, path):
    """Add prediction and std to a table; rows with missing values stay empty."""
    from lmmfit.mixed.columns import as_columns

    complete = new[used].notna().all(axis=1).to_numpy()
    out = new.copy()
    out["prediction"], out["std"] = np.nan, np.nan
    rows = new[complete]
    if len(rows):
        mean, std = model.predict(rows, return_std=True)
        out.loc[complete, "prediction"], out.loc[complete, "std"] = mean, std
    if not complete.all():
        print(
            f"note: {int((~complete).sum())} of {len(new)} rows of {path!r} have missing values; "
            "their prediction is left empty.", file=sys.stderr,
        )  # fmt: skip
    design = model.design_
    if design.terms and len(rows):
        found = design.find(as_columns(rows), model.statistics_.factor_levels)
        for codes, names in zip(found, design.factors, strict=True):
            unseen = codes < 0
            if unseen.any():
                print(
                    f"note: {int(unseen.sum())} of {len(new)} rows of {path!r} belong to levels "
                    f"of {':'.join(names)!r} that were not in the data; they get the "
                    "population's prediction.", file=sys.stderr,
                )  # fmt: skip
    return out
