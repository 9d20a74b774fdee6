"""Sparse gains: the equation of distributed control, Figure 2 of its paper, large networks."""

from benchmarks import _gain_systems as systems
from benchmarks._case import Case
from benchmarks._claims import faster, figure, growth, largest

OURS = {"adapter": "lmmfit"}
PUBLISHED = {"adapter": "published"}
STEADY = OURS | {"operation": "steady"}
FORTY, HUNDRED = {"operation": "N = 40"}, {"operation": "N = 100"}
TANKS = (10, 20, 40, 60, 80, 100)
"""Numbers of tanks for formula (3), whose largest matrix grows with the fourth power."""
MORE = (*TANKS, 200, 400, 1000, 2000)
ASYMPTOTIC = 40
"""Numbers of tanks above this tell an exponent, as in the paper."""
WINDOW = 40
"""Steps of a synthesis: in thirty the traces do not settle as the published rule wants it."""


def cases(quick):
    """Return the cases of the suite; if `quick`, of few tanks."""
    return [
        _equation(quick),
        _synthesis(quick),
        *([] if quick else [_forty()]),
        _large(quick, "", systems.CORRELATION, "correlated noise, as above"),
        _large(
            quick,
            "_pairs",
            0.0,
            "noise of its own for each, so that pairs of tanks have "
            "nothing to do with others, which lmmfit finds out",
        ),
        _model_1(quick),
        *([] if quick else [_model_40()]),
        _model_41(),
        *([] if quick else [_model_47()]),
        _viegas(),
        _tutorial(),
    ]


def _equation(quick):
    definite = OURS | {"variant": "gains_definite"}
    formula = PUBLISHED | {"variant": "equation_formula"}
    algorithm = PUBLISHED | {"variant": "equation_algorithm"}
    orders = {
        "DefiniteSolver": MORE,
        "solve_sparse_equation": MORE,
        "formula (3)": TANKS,
        "Algorithm 1": MORE[:-1],
    }
    return Case(
        "equation",
        "one equation [L K S - L G] = 0 on the diagonal, from the middle of the synthesis for N "
        "tanks. DefiniteSolver is what the synthesis calls; solve_sparse_equation checks what it "
        "is given, finds the way and measures the residual. Residual here: relative, in NumPy",
        make=lambda: [{"id": "equation", "orders": _few(orders, quick)}],
        entries=(
            ("lmmfit", "gains_definite"),
            ("lmmfit", "gains_equation"),
            ("published", "equation_formula"),
            ("published", "equation_algorithm"),
        ),
        rounds=1 if quick else 2,
        budget=60.0,
        claims=(
            faster("than formula (3) at N = 40", formula | FORTY, definite | FORTY, at_least=500),
            *_exponents("DefiniteSolver", definite, formula, algorithm),
            growth("exponent of formula (3) over Algorithm 1", formula, over=algorithm,
                   above=ASYMPTOTIC, at_least=2),
        ),
    )  # fmt: skip


def _synthesis(quick):
    formula = PUBLISHED | {"variant": "synthesis_formula"}
    algorithm = PUBLISHED | {"variant": "synthesis_algorithm"}
    orders = {
        "finite_horizon_gain": MORE,
        "formula (3)": TANKS,
        "Algorithm 1": (*TANKS, 200),
        "Algorithm 1, running products": (*TANKS, 200, 400),
    }
    return _tank_synthesis(
        "synthesis",
        "Figure 2 of the paper: the whole finite-horizon synthesis for N tanks, each with its "
        f"own sensor, window {WINDOW}, tolerance 1e-5; what moves neighbours is correlated, such "
        "that the network does not fall into pairs. The published ones sum L as printed, over "
        "products of loops that are multiplied anew, or else extend the one before. Trace: the "
        "one that the method itself says",
        _few(orders, quick),
        WINDOW,
        (*_FIGURE_2, ("published", "synthesis_algorithm"), ("published", "synthesis_running")),
        (
            faster("than formula (3) at N = 100", formula | HUNDRED, OURS | HUNDRED, at_least=500),
            *_exponents("ours", OURS, formula, algorithm),
        ),
    )


def _forty():
    orders = {"finite_horizon_gain": (40,), "formula (3)": (40,)}
    return _tank_synthesis(
        "tanks_40",
        "the same for 40 tanks, with a window of 100",
        orders,
        100,
        _FIGURE_2,
        (faster("than formula (3)", PUBLISHED, OURS, at_least=500),),
    )


_FIGURE_2 = (("lmmfit", "gains_synthesis"), ("published", "synthesis_formula"))


def _tank_synthesis(name, title, orders, window, entries, claims):
    problem = {"id": name, "orders": orders, "window": window, "tol": 1e-5}
    return _once(name, title, lambda: [problem], entries, claims, timeout=900.0)


def _exponents(name, ours, formula, algorithm):
    """Claim what the paper says of its Figure 2: exponents, and that of the ratio."""
    above = ASYMPTOTIC
    return (
        growth(f"exponent of {name}", ours, above=above, at_most=2.77),
        growth("exponent of Algorithm 1", algorithm, above=above, at_most=3.0),
        growth("exponent of formula (3)", formula, above=above, at_least=4.3),
        growth(f"exponent of formula (3) over {name}", formula, over=ours, above=above,
               at_least=2),
    )  # fmt: skip


def _few(orders, quick):
    return dict.fromkeys(orders, TANKS[:2]) if quick else orders


def _large(quick, name, correlation, noise):
    N = 200 if quick else 2000
    methods = {"one-step": {}, "finite-horizon": {"window": WINDOW}, "steady": {}}
    return _once(
        f"tanks_{N}{name}",
        f"{N} tanks, {noise}: all methods. Trace: exact, beside the one that the method itself "
        "says",
        lambda: [{"id": "tanks", "n_tanks": N, "correlation": correlation, "methods": methods}],
        (("lmmfit", "gains_tanks"),),
        (largest("seconds of the slowest", "median", OURS, at_most=60.0, unit=" s"),),
        timeout=900.0,
    )


def _model_1(quick):
    window, tol = 75, 1e-4
    options = {"window": window, "tol": tol, "from_one_step": True, "known": 48.296081}

    def make():
        return [{"id": "model_1", "arrays": systems.network(1), "window": window, "tol": tol,
                 "methods": {"finite-horizon": options}}]  # fmt: skip

    return _once(
        "model_1",
        "a random network of 20 nodes (model 1 of DECENTER: 40 states, 20 outputs): finite "
        f"horizon, window {window}, tolerance 1e-4, from the covariance of the one-step method. "
        "Difference: of the gains, relative, from lmmfit's",
        make,
        (
            ("lmmfit", "gains_network"),
            ("published", "network_double_sum"),
            ("published", "network_kept_loops"),
            ("published", "network_running"),
        ),
        (
            faster("than the double sum as printed",
                   PUBLISHED | {"variant": "network_double_sum"}, OURS, at_least=50),
            figure("difference of the gains", "difference", PUBLISHED, at_most=1e-10),
            figure("its own trace, off the published one", "off", OURS, at_most=5e-7),
        ),
        rounds=1 if quick else 3,
    )  # fmt: skip


def _model_40():
    return _network(
        40,
        "steady, and the finite horizon with window 100 and tolerance 0.01, for which its own "
        "trace of 1442.817 is published, from a start that is not, after 13 445 s of MATLAB on "
        "another machine. Two threads",
        {"steady": {}, "finite-horizon": {"window": 100, "tol": 1e-2}},
        (
            figure("trace of the steady gain", "trace", STEADY, at_most=1441.43),
            largest("seconds of the steady gain", "median", STEADY, at_most=180.0, unit=" s"),
        ),
        threads=2,
    )


def _model_41():
    return _network(
        41,
        "one-step, tolerance 1e-4, for which 191.5 s of MATLAB on another machine are published",
        {"one-step": {"tol": 1e-4, "known": 1785.624604}},
        (
            figure("its own trace, off the published one", "off", OURS, at_most=5e-7),
            largest("seconds", "median", OURS, at_most=20.0, unit=" s"),
        ),
    )


def _model_47():
    return _network(
        47,
        "steady. Published: the finite horizon ends after 54 070 s with an unstable gain, of "
        "spectral radius 1.0185, and the one-step method with the trace 3696.130. Two threads",
        {"steady": {}},
        (
            figure("trace", "trace", OURS, at_most=1643.0),
            figure("spectral radius", "spectral radius", OURS, at_most=1.0),
        ),
        threads=2,
    )


def _network(model, what, methods, claims, threads=1):
    def make():
        return [{"id": f"model_{model}", "arrays": systems.network(model), "methods": methods}]

    return _once(
        f"model_{model}",
        f"a random network of 500 nodes (model {model} of DECENTER: 1000 states, 500 outputs, "
        f"1000 entries of the gain): {what}",
        make,
        (("lmmfit", "gains_network"),),
        claims,
        timeout=1200.0,
        threads=threads,
    )


def _viegas():
    printed = {
        "centralised": {"known": 9.5423},
        "one-step": {"known": 24.3705},
        "finite-horizon": {"window": 30, "known": 20.4429},
    }
    return _example(
        "viegas",
        "a filter of 5 states and 4 outputs (Viegas et al. 2018)",
        "viegas2018_W30",
        printed | {"steady": {"known": 20.44289207}},
        (
            figure("traces of the published methods, off the printed ones", "off",
                   OURS | {"operation": tuple(printed)}, at_most=5.1e-5),
            figure("trace of the steady gain, off the optimum", "off", STEADY, at_most=5.1e-9),
        ),
    )  # fmt: skip


def _tutorial():
    return _example(
        "tutorial",
        "a regulator of 5 states and 3 inputs (tutorial of DECENTER, whose finite horizon stops "
        "at 22.0634)",
        "lqr_tutorial",
        {
            "one-step": {"known": 24.8584},
            "finite-horizon": {"window": 40, "known": 22.0634},
            "steady": {"known": 21.760672},
        },
        (figure("trace of the steady gain, off the optimum", "off", STEADY, at_most=5.1e-7),),
    )


def _example(name, title, file, methods, claims):
    def make():
        arrays = dict(zip(("A", "C", "Q", "R", "E"), systems.example(file), strict=True))
        regulator = file.startswith("lqr")
        return [{"id": name, "arrays": arrays, "methods": methods, "regulator": regulator}]

    return _once(
        name,
        f"{title}; trace: exact, beside the one that the method itself says, and the known one",
        make,
        (("lmmfit", "gains_examples"),),
        claims,
    )


def _once(name, title, make, entries, claims, rounds=1, timeout=300.0, threads=1):
    """Return a case whose operations time their own calls."""
    return Case(name, title, make=make, entries=tuple(entries), rounds=rounds, repeats=0,
                timeout=timeout, claims=tuple(claims), threads=threads,
                exact=("trace", "its own", "known"))  # fmt: skip
