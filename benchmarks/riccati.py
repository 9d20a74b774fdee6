"""Riccati equations and steady filters: the paper's experiment, a steel rail, long series."""

from dataclasses import replace
from functools import partial

from benchmarks import _riccati_systems as systems
from benchmarks._case import Accuracy, Case
from benchmarks._claims import faster, figure, figure_ratio
from benchmarks._riccati_examples import examples

OURS = {"adapter": "lmmfit"}
SLYCOT = {"adapter": "slycot"}
PYMOR = {"adapter": "pymor"}
RIVALS = (
    ("pykalman", "filter", ""),
    ("pykalman", "loglik", ": likelihood"),
    ("filterpy", "filter", ""),
    ("filterpy", "filter, gain given", "'s loop with the steady gain"),
    ("statsmodels", "filter", ""),
    ("statsmodels", "loglik", ": likelihood"),
    ("statsmodels", "filter, univariate", ", univariate"),
    ("statsmodels", "loglik, univariate", ", univariate: likelihood"),
)
"""Filters of series: adapter, operation, and its words in a claim."""
LOSSES, LIGHT = (1.0, 1.0), (0.1, 0.01)
"""Resistance and conductance of a section of the circuit: damped at once, and for long."""
TOLERANCE, TIGHTER = 1e-10, 1e-12
RAIL = {
    371: {"-1": 0.0536275440, "1": 0.1354440028},
    1357: {"-1": 0.0346138892, "1": 0.0825263278},
    5177: {"-1": 0.0207773781, "1": 0.0478060556},
}
"""Frobenius norm of K = E'XB of both signs, known to ten digits."""


def cases(quick):
    """Return the cases of the suite; if `quick`, of small orders and short series."""
    orders = (100, 200) if quick else (100, 200, 400, 800, 1600)
    return [
        *(_plus(n, quick) for n in orders),
        _plus(200 if quick else 800, quick, light=True),
        *(_minus(n, quick) for n in orders),
        _minus(200 if quick else 800, quick, varying=True),
        _large(quick),
        *(_rail(n, quick) for n in ((371,) if quick else RAIL)),
        _filtering(quick),
        _gaps(quick),
        _accuracy("care", ("doubling", "newton")),
        _accuracy("dare", ("doubling",)),
    ]


def _plus(n, quick, light=False):
    losses = LIGHT if light else LOSSES

    def make():
        A, B, C = systems.circuit(n, losses)
        return [{"id": "plus", "arrays": systems.pack(A=A, B=B, C=C), "sign": 1,
                 "shifts": "ten" if light else "one"}]  # fmt: skip

    return _equation(
        f"plus_light_{n}" if light else f"plus_{n}",
        f"(1+) of passive reduction, order {n}: a line of {n // 2} sections with inductance and "
        f"capacitance 1, resistance {losses[0]:g} and conductance {losses[1]:g}; B and C of "
        "rank 1",
        make,
        n,
        quick,
        None if light else 64,
    )


def _minus(n, quick, varying=False):
    def make():
        A, B, C = systems.plate(n, varying)
        return [{"id": "minus", "arrays": systems.pack(A=A, B=B, C=C), "sign": -1,
                 "shifts": "ten" if varying else "one"}]  # fmt: skip

    flow = "(10 x, 100 y)" if varying else "(10, 100)"
    return _equation(
        f"minus_varying_{n}" if varying else f"minus_{n}",
        f"(1-) of a regulator, order {n}: convection with the flow {flow} and diffusion on a "
        f"plate; B and C of rank {n // 100}",
        make,
        n,
        quick,
        None if varying else 36,
    )


def _equation(name, title, make, n, quick, times):
    """Return a case of the paper's section 4; what it claims, it claims at the order 800.

    A harder one, for which one shift is not enough, has no ``times``.
    """
    entries = [("lmmfit", "riccati_cfqadi"), ("lmmfit", "riccati_cfqadi_dense"),
               ("lmmfit", "riccati_doubling")]  # fmt: skip
    if times and n <= 800:
        entries.append(("lmmfit", "riccati_qadi"))
    entries.append(("slycot", "sb02md"))
    entries += [("slycot", "sg02ad")] * (n <= 800) + [("scipy", "care")] * (n <= 400)
    claims = (
        faster("than SLICOT's best: CFQADI", SLYCOT, OURS | {"variant": "riccati_cfqadi"},
               at_least=times or 1),
        faster("than SLICOT's best: doubling", SLYCOT, OURS | {"variant": "riccati_doubling"},
               at_least=8 if times else 1),
        figure_ratio("SLICOT's least residual over the largest of ours", "residual", SLYCOT, OURS,
                     at_least=1),
    )  # fmt: skip
    return _once(
        name,
        title + "; residual: its Frobenius norm over that of C'C, of X formed after the clock "
        "stopped where the answer is a factor",
        make,
        entries,
        claims if n == 800 or quick else (),
        rounds=1 if quick else 3,
        timeout=600.0,
    )


def _large(quick):
    orders = (1000,) if quick else (1000, 10_000, 100_000)

    def make():
        return [{"id": "large", "orders": orders, "losses": LOSSES, "tol": 1e-12}]

    return _once(
        "large",
        "CFQADI with sparse A to 1e-12: (1+) of the line of `plus`, (1-) of LYAPACK's convection "
        "and diffusion on a square, B and C of rank 1; residual: spectral norm over that of C'C, "
        "by a QR decomposition of (A'Z, Z, C'), beside what the solver says is its own",
        make,
        [("lmmfit", "riccati_large")],
        (figure("residual by QR", "residual", OURS, at_most=2e-12),),
        rounds=1,
        timeout=1800.0,
    )


def _rail(n, quick):
    def make():
        A, E, B, C = systems.rail(n)
        arrays = systems.pack(A=A, E=E, B=B, C=C) | {"B+": systems.bounded_input(B)}
        return [{"id": "rail", "arrays": arrays, "norms": RAIL[n],
                 "tol": TOLERANCE, "tol+": TIGHTER}]  # fmt: skip

    minus = OURS | {"operation": "(1-)"}
    return _once(
        f"rail_{n}",
        f"the steel rail, {n} nodes, 7 inputs, 6 outputs: the regulator (1-) to "
        f"{TOLERANCE:.0e}, and (1+) with B over the root of 0.2401 to {TIGHTER:.0e}, for which "
        "pyMOR has no low-rank solver; "
        "residual: spectral norm over that of C'C, by a QR decomposition of (A'Z, E'Z, C'); error "
        "of |K|: relative, from the Frobenius norm of E'XB that is known to ten digits",
        make,
        [("lmmfit", "riccati_rail"), ("pymor", "radi")],
        (
            figure("shifts of ours", "shifts", minus, at_most=40),
            figure("residual of ours", "residual", OURS, at_most=TOLERANCE),
            *([faster("than pyMOR", PYMOR, minus, at_least=2)] if n > 371 else []),
        ),
        rounds=1 if quick else 3,
    )


def _filtering(quick):
    rows = 100_000 if quick else 1_000_000
    # Rivals do what takes them some seconds; times are scaled to all rows.
    some = {"pykalman": 2000, "filterpy": 3000, "filterpy, gain given": 50_000,
            "statsmodels": 50_000}  # fmt: skip
    return _series(
        "filtering",
        f"{rows} rows of 10 outputs through the filter of a system with 50 states that starts at "
        "its steady covariance; distance: of the filtered states from those of the exact "
        "time-varying filter, the largest over the largest state, in 2000 rows",
        rows,
        0.0,
        some,
        quick,
        (
            *_faster_than_each(20),
            figure("distance of ours", "distance", OURS, at_most=1e-12),
        ),
    )


def _gaps(quick):
    rows = 4000 if quick else 20_000
    some = {"pykalman": 1000, "filterpy": 1000, "statsmodels": 2000}
    return _series(
        "gaps",
        f"the same with 5 % of the elements missing, {rows} rows: 40 % of the rows have a gap. "
        "pykalman and filterpy drop these rows, so that their states are those of other data; "
        "lmmfit and statsmodels use what was observed of them",
        rows,
        0.05,
        some,
        quick,
        (
            *_faster_than_each(1, gaps=True),
            figure("distance of ours", "distance", OURS, at_most=1e-12),
        ),
    )


def _faster_than_each(times, gaps=False):
    """Return a claim for each rival and operation; a gain for all rows is for complete ones."""
    return tuple(
        faster(f"than {adapter}{words}", {"adapter": adapter, "operation": operation},
               OURS | {"operation": operation.split(", ")[0]}, at_least=times)
        for adapter, operation, words in RIVALS
        if not (gaps and "gain" in operation)
    )  # fmt: skip


def _series(name, title, rows, missing, some, quick, claims):
    def make():
        return [{"id": name, "arrays": systems.process(50, 10, rows, missing), "rows": some,
                 "checked": 500 if quick else 2000}]  # fmt: skip

    case = _once(
        name,
        title,
        make,
        [(adapter, "series") for adapter in ("lmmfit", "pykalman", "filterpy", "statsmodels")],
        claims,
        rounds=1 if quick else 3,
        timeout=600.0,
    )
    return replace(case, units=("row", rows))


def _accuracy(equation, ours):
    named = {"care": "CAREX", "dare": "DAREX"}[equation]
    entries = [("lmmfit", f"{method}_{equation}") for method in ours]
    entries += [("scipy", f"known_{equation}")]
    entries += [("slycot", f"{routine}_{equation}") for routine in ("sb02md", "sg02ad")]
    case = _once(
        f"accuracy_{equation}",
        f"examples of {named} with solutions proven in 100 digits; error: relative, in units of "
        "what rounding the example's matrices does to the solution (its condition times 2^-53)",
        partial(examples, equation),
        entries,
        (),
        rounds=1,
        timeout=60.0,
    )
    return replace(case, accuracy=Accuracy("error", 10.0, 1000.0))


def _once(name, title, make, entries, claims, rounds, timeout=300.0):
    """Return a case whose operations time their own calls."""
    return Case(name, title, make=make, entries=tuple(entries), rounds=rounds, repeats=0,
                timeout=timeout, claims=tuple(claims))  # fmt: skip
