"""Loaders of the example tables: one thin function a table.

What is common to them is in ``_tables.py``; what is known of a table is in its ``DESCR``.
"""

from lmmfit.datasets._tables import load_table

__all__ = [
    "load_dyestuff",
    "load_dyestuff2",
    "load_insteval",
    "load_machines",
    "load_nile",
    "load_oats",
    "load_orthodont",
    "load_pastes",
    "load_penicillin",
    "load_ratpup",
    "load_sleepstudy",
]


def load_sleepstudy(*, return_X_y=False, as_frame=False):
    """Load the reaction times of a sleep deprivation study, 180 rows.

    Average reaction time (ms) of 18 subjects on each of ten days with three hours in bed a
    night. The classic example of a random intercept and slope: ``(1 + Days | Subject)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_sleepstudy
    >>> sleepstudy = load_sleepstudy()
    >>> sleepstudy.feature_names, sleepstudy.data.shape
    (['Days', 'Subject'], (180, 2))
    >>> subject = sleepstudy.data[:, 1].astype(int)
    >>> sleepstudy.categories["Subject"][subject[:3]].tolist()
    ['308', '308', '308']
    """
    return load_table("sleepstudy", return_X_y=return_X_y, as_frame=as_frame)


def load_dyestuff(*, return_X_y=False, as_frame=False):
    """Load the yield of dyestuff from six batches, 30 rows.

    Five preparations of each of six batches of an intermediate product: a balanced one-way
    random-effects model, ``(1 | Batch)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_dyestuff
    >>> dyestuff = load_dyestuff()
    >>> float(dyestuff.target.mean())
    1527.5
    >>> dyestuff.categories["Batch"].tolist()
    ['A', 'B', 'C', 'D', 'E', 'F']
    """
    return load_table("Dyestuff", return_X_y=return_X_y, as_frame=as_frame)


def load_dyestuff2(*, return_X_y=False, as_frame=False):
    """Load simulated yields of dyestuff without a batch effect, 30 rows.

    Laid out as `load_dyestuff`. The estimated variance between batches is exactly zero, so
    that ``(1 | Batch)`` is a singular fit.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_dyestuff2
    >>> X, y = load_dyestuff2(return_X_y=True)
    >>> X.shape, round(float(y.mean()), 4)
    ((30, 1), 5.6656)
    """
    return load_table("Dyestuff2", return_X_y=return_X_y, as_frame=as_frame)


def load_penicillin(*, return_X_y=False, as_frame=False):
    """Load the zones of growth inhibition by penicillin, 144 rows.

    Six samples of penicillin tested on each of 24 plates: two completely crossed factors,
    ``(1 | plate) + (1 | sample)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_penicillin
    >>> penicillin = load_penicillin()
    >>> {name: len(levels) for name, levels in penicillin.categories.items()}
    {'plate': 24, 'sample': 6}
    """
    return load_table("Penicillin", return_X_y=return_X_y, as_frame=as_frame)


def load_pastes(*, return_X_y=False, as_frame=False):
    """Load the strength of a chemical paste by batch and cask, 60 rows.

    Two tests of each of three casks in each of ten delivery batches: nested factors,
    ``(1 | batch/cask)``. The column ``sample`` is the combination of the two, as ``A:a``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_pastes
    >>> pastes = load_pastes()
    >>> pastes.feature_names
    ['batch', 'cask', 'sample']
    >>> pastes.categories["sample"][:4].tolist()
    ['A:a', 'A:b', 'A:c', 'B:a']
    """
    return load_table("Pastes", return_X_y=return_X_y, as_frame=as_frame)


def load_orthodont(*, return_X_y=False, as_frame=False):
    """Load the growth of an orthodontic distance in 27 children, 108 rows.

    The distance (mm) from the pituitary to the pterygomaxillary fissure at ages 8, 10, 12 and
    14 years, in 16 boys and 11 girls: growth curves, ``(1 + age | Subject)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_orthodont
    >>> orthodont = load_orthodont()
    >>> orthodont.data.shape, orthodont.categories["Sex"].tolist()
    ((108, 3), ['Male', 'Female'])
    """
    return load_table("Orthodont", return_X_y=return_X_y, as_frame=as_frame)


def load_machines(*, return_X_y=False, as_frame=False):
    """Load the productivity of six workers on three machines, 54 rows.

    Each worker operated each machine three times: a random interaction between worker and
    machine, ``(1 | Worker/Machine)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_machines
    >>> X, y = load_machines(return_X_y=True)
    >>> X.shape, round(float(y.mean()), 2)
    ((54, 2), 59.65)
    """
    return load_table("Machines", return_X_y=return_X_y, as_frame=as_frame)


def load_oats(*, return_X_y=False, as_frame=False):
    """Load a split-plot field trial of oats, 72 rows.

    Three varieties on the whole plots of six blocks, four amounts of nitrogen on the
    subplots: ``(1 | Block/Variety)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_oats
    >>> oats = load_oats()
    >>> oats.categories["Variety"].tolist()
    ['Golden Rain', 'Marvellous', 'Victory']
    """
    return load_table("Oats", return_X_y=return_X_y, as_frame=as_frame)


def load_ratpup(*, return_X_y=False, as_frame=False):
    """Load the birth weights of 322 rat pups in 27 litters.

    A treatment given to the mothers, litters of 2 to 18 pups: an unbalanced design with a
    covariate of the group (``Lsize``), ``(1 | Litter)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_ratpup
    >>> ratpup = load_ratpup()
    >>> ratpup.data.shape
    (322, 4)
    >>> ratpup.categories["Treatment"].tolist(), ratpup.categories["sex"].tolist()
    (['Control', 'Low', 'High'], ['Male', 'Female'])
    """
    return load_table("RatPupWeight", return_X_y=return_X_y, as_frame=as_frame)


def load_insteval(*, return_X_y=False, as_frame=False):
    """Load lecture evaluations by students at ETH Zurich, 73421 rows.

    Ratings from 1 to 5 given by 2972 students to 1128 lecturers: two large factors that are
    partially crossed, ``(1 | s) + (1 | d)``.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects, with factors as categorical columns. Without it ``data`` is
        a float64 array, in which a factor holds positions in ``categories[column]``.

    Returns
    -------
    Bunch or (data, target)
        With ``data``, ``target``, ``frame`` (both together, or None), ``feature_names``,
        ``target_names``, ``categories`` (column -> levels in R's order), ``DESCR`` and
        ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_insteval
    >>> insteval = load_insteval()
    >>> insteval.data.shape
    (73421, 6)
    >>> len(insteval.categories["s"]), len(insteval.categories["d"])
    (2972, 1128)
    """
    return load_table("InstEval", return_X_y=return_X_y, as_frame=as_frame)


def load_nile(*, return_X_y=False, as_frame=False):
    """Load the annual flow of the Nile at Aswan, 100 rows.

    Flows (10^8 cubic metres) from 1871 to 1970, with a fall of the level about 1899: the classic
    example of a local level model and its Kalman filter.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects. Without it ``data`` is a float64 array.

    Returns
    -------
    Bunch or (data, target)
        With ``data`` (the years), ``target`` (the flows), ``frame`` (both together, or None),
        ``feature_names``, ``target_names``, ``categories`` (empty), ``DESCR`` and ``filename``.

    Raises
    ------
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_nile
    >>> nile = load_nile()
    >>> nile.data[[0, -1], 0].tolist(), round(float(nile.target.mean()), 2)
    ([1871.0, 1970.0], 919.35)
    """
    return load_table("Nile", return_X_y=return_X_y, as_frame=as_frame)
