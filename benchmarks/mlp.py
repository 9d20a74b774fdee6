"""Networks: products with the Hessian, optimisers, and what a fit reaches in a given time."""

import numpy as np

from benchmarks import _networks as networks
from benchmarks._case import Case
from benchmarks._claims import faster, figure, figure_lead, figure_ratio, largest, within

OURS = {"adapter": "lmmfit"}
RIVALS = {"adapter": "!lmmfit"}
TORCH = {"adapter": "torch"}
CURVLINOPS = {"adapter": "curvlinops"}
SCIPY = {"adapter": "scipy"}
SKLEARN = {"adapter": "sklearn"}
TORCHMIN = {"adapter": "torchmin"}
PRECISIONS = ("float64", "float32")
ALPHAS = (0.1, 1.0, 10.0, 100.0)
HIDDEN = (8, 32)
"""Penalties and hidden units of which a grid search takes the best."""
SIMILAR = ("products_tiny", "sine", "reliability_sine", "reliability_half_sine")
SIMILAR += tuple(f"datasets_{name}" for name in ("diabetes", "breast_cancer", "digits"))
"""Cases that a quick run leaves out."""


def cases(quick):
    """Return the cases of the suite; if `quick`, smaller ones and not those much like others."""
    every = [
        _products("products_wide", (64, 128, 64, 10), 1000 if quick else 10_000, 0, quick),
        _products("products_digits", (64, 30, 10), None, 5, quick),
        _products("products_tiny", (10, 20, 2), 442, 15, quick),
        _digits(quick),
        _franke(quick),
        _sine(quick),
        _deep_linear(quick),
        _xor(),
        _sine_starts("sine", "a period", 1.0, 1e-9, quick),
        _sine_starts("half_sine", "half a period", 0.5, 1e-12, quick),
        _float32(quick),
        *(_dataset(name, quick) for name in ("diabetes", "breast_cancer", "wine", "digits")),
    ]
    return [case for case in every if not (quick and case.name in SIMILAR)]


def _products(name, sizes, n, curvlinops, quick):
    loss = "squared_error" if sizes[-1] == 2 else "log_loss"
    network = _network(sizes, loss)

    def make():
        rng = np.random.default_rng(0)
        if n is None:
            X, Y = _classes("digits")
        else:
            X = rng.standard_normal((n, sizes[0]))
            Y = rng.standard_normal((n, sizes[-1]))
            Y = Y if loss == "squared_error" else np.eye(sizes[-1])[Y.argmax(axis=1)]
        theta = networks.starts(network, 1)[0]
        v = rng.standard_normal(theta.size)
        arrays = {"X": X, "Y": Y, "theta": theta, "v": v}
        arrays["gradient"] = networks.gradient(network, theta, X, Y)
        arrays["product"] = networks.product(network, theta, X, Y, v)
        return [{"id": name, "network": network, "arrays": arrays}]

    limit, claims = networks.product_limit(sizes), []
    for dtype in PRECISIONS:
        product = {"operation": f"product, {dtype}"}
        claims += [
            within(
                f"{dtype}: product over gradient, where {limit:.3g} is the ratio of the "
                "multiplications",
                OURS | product,
                OURS | {"operation": f"gradient, {dtype}"},
                at_most=round(1.25 * limit, 3),
            ),
            faster(f"than torch's product, {dtype}", TORCH | product, OURS | product, at_least=1),
        ]
        if curvlinops:
            claims.append(
                faster(f"than curvlinops, {dtype}", CURVLINOPS | product, OURS | product,
                       at_least=curvlinops)
            )  # fmt: skip
    return Case(
        name,
        f"value and gradient, and a product with the Hessian, of a {'-'.join(map(str, sizes))} "
        f"network of tanh units, {loss}, {1797 if n is None else n} patterns; error: relative "
        "distance from the exact vector",
        make=make,
        entries=tuple((adapter, "products") for adapter in ("lmmfit", "torch", "curvlinops")),
        rounds=1 if quick else 3,
        repeats=5 if quick else 20,
        budget=3.0 if quick else 6.0,
        claims=(*claims, largest("largest error of ours", "error", OURS, at_most=1e-5)),
    )


def _digits(quick):
    """Compare optimisers on one objective, from the same starts.

    The minima that are reached from different starts, and by different packages from the same
    start, lie within one per cent of each other. The best is the lowest that lmmfit's Newton-CG
    and L-BFGS reach from any of the starts. All iterates of a run are kept with their times and
    judged afterwards by one objective in double precision, so that no package pays for that.
    """
    count, limit, rows, hidden = (2, 3.0, 600, 16) if quick else (5, 20.0, 1797, 32)
    network = _network((64, hidden, 10), "log_loss", alpha=1.0)
    tolerances = (1e-5, 1e-8)

    def make():
        X, Y = _classes("digits")
        X, Y = X[:rows], Y[:rows]
        starts = networks.starts(network, count)
        best = _lowest_minimum(network, X, Y, starts)
        levels = [{"name": f"to {share} % above the best", "value": best * (1 + share / 100)}
                  for share in (5, 1)]  # fmt: skip
        levels += [{"name": f"to |g| < {tol:.0e}", "gradient": tol} for tol in tolerances]
        arrays = {"X": X, "Y": Y, "starts": starts}
        return [{"id": "digits", "network": network, "arrays": arrays, "levels": levels,
                 "limit": limit, "tol": min(tolerances)}]  # fmt: skip

    newton = OURS | {"variant": "newton-cg"}
    near, close, exact = (
        {"operation": name} for name in
        ("to 1 % above the best", *(f"to |g| < {tol:.0e}" for tol in tolerances))
    )  # fmt: skip
    torch_newton = TORCHMIN | {"variant": "newton-cg"}
    more = (("lmmfit", "scg"), ("sklearn", "adam_0.001"))
    more += (("torchmin", "trust-ncg"), ("torchmin", "l-bfgs"))
    return Case(
        "digits",
        f"64-{hidden}-10 network of tanh units, cross-entropy, alpha = 1, {rows} of the digits; "
        f"median seconds over {count} starts, the same for all; a run that does not arrive counts "
        f"as {limit:g} s; |g|: largest element of the gradient of the sum",
        make=make,
        entries=(
            ("lmmfit", "newton-cg"),
            ("lmmfit", "lbfgs"),
            ("scipy", "lbfgs"),
            ("sklearn", "lbfgs"),
            ("sklearn", "adam_0.01"),
            ("torchmin", "newton-cg"),
            *(() if quick else more),
        ),
        rounds=1,
        repeats=0,
        timeout=60.0 if quick else 300.0,
        claims=(
            faster("to 1 % than scipy's L-BFGS", SCIPY | near, newton | near, at_least=1.5),
            faster("to 1 % than scikit-learn's L-BFGS",
                   SKLEARN | {"variant": "lbfgs"} | near, newton | near, at_least=1.5),
            faster("to 1e-5 than scipy's L-BFGS", SCIPY | close, newton | close, at_least=2.5),
            faster("to 1e-5 than our own L-BFGS",
                   OURS | {"variant": "lbfgs"} | close, newton | close, at_least=2),
            figure("starts from which Newton-CG arrives at 1e-8", "reached", newton | exact,
                   at_least=count),
            faster("to 1e-8 than pytorch-minimize's Newton-CG",
                   torch_newton | exact, newton | exact, at_least=2),
            faster("to 1e-8 than pytorch-minimize's trust region",
                   TORCHMIN | {"variant": "trust-ncg"} | exact, newton | exact, at_least=2),
        ),
    )  # fmt: skip


def _franke(quick):
    def data():
        return networks.franke(600, np.random.default_rng(0))

    return _against_the_clock(
        "franke", "Franke's function at 600 random points, 2-20-20-1", data, (2, 20, 20, 1),
        3.0 if quick else 15.0, quick,
    )  # fmt: skip


def _sine(quick):
    return _against_the_clock(
        "sine", "a period of the sine at 60 points, 1-5-1", _sine_data, (1, 5, 1),
        0.5 if quick else 2.0, quick,
    )  # fmt: skip


def _against_the_clock(name, title, data, sizes, seconds, quick):
    network = _network(sizes, "squared_error")
    repetitions = 1 if quick else 3

    def make():
        X, Y = data()
        return [{"id": name, "network": network, "arrays": {"X": X, "Y": Y}, "limit": seconds,
                 "repetitions": repetitions, "tol": 0.0}]  # fmt: skip

    ours = OURS | {"variant": "lm"}
    more = (("lmmfit", "newton-cg"), ("lmmfit", "lbfgs"), ("torchmin", "newton-cg"))
    more += (("sklearn", "adam_0.001"),)
    return Case(
        name,
        f"half the mean squared error after {seconds:g} s: {title} tanh units, no penalty; new "
        f"starts while there is time; median of {repetitions}",
        make=make,
        entries=(
            ("lmmfit", "lm"),
            ("torch_levenberg_marquardt", "lm"),
            ("scipy", "lbfgs"),
            ("sklearn", "lbfgs"),
            ("sklearn", "adam_0.01"),
            *(() if quick else more),
        ),
        rounds=1,
        repeats=0,
        timeout=60.0 + 2 * repetitions * seconds,
        claims=(
            figure_ratio("error of scikit-learn over ours", "half MSE", SKLEARN, ours,
                         at_least=1000),
            figure_ratio("error of scipy's L-BFGS over ours", "half MSE", SCIPY, ours,
                         at_least=1000),
            figure_ratio("error of torch-levenberg-marquardt over ours", "half MSE",
                         {"adapter": "torch_levenberg_marquardt"}, ours, at_least=1),
        ),
    )  # fmt: skip


def _deep_linear(quick):
    network = _network((5, 2, 4), "squared_error", activation="identity")
    count = 3 if quick else 10
    everything = ("newton-cg", "lm", "gauss-newton", "scg", "lbfgs")

    def make():
        rng = np.random.default_rng(0)
        X = rng.standard_normal((60, 5))
        Y = X @ rng.standard_normal((5, 4)) + rng.standard_normal((60, 4))
        least = networks.least_linear_error(X, Y, 2)
        levels = [{"name": "to 1e-10", "value": least * (1 + 1e-10)}]
        return _from_starts("deep_linear", network, X, Y, levels, count)

    return _reliability(
        "reliability_linear",
        "5-2-4 network without bends, 60 patterns: runs that end within 1e-10 of the lowest "
        "error, known from a regression of rank 2",
        make,
        everything,
        dict.fromkeys(everything, "to 1e-10"),
        count,
    )


def _sine_starts(name, what, periods, claimed, quick):
    network = _network((1, 5, 1), "squared_error")
    count = 3 if quick else 10

    def make():
        X, Y = _sine_data(periods)
        levels = [{"name": f"to {error:.0e}", "value": error * len(X)} for error in (1e-9, 1e-12)]
        return _from_starts(f"{name}_starts", network, X, Y, levels, count)

    return _reliability(
        f"reliability_{name}",
        f"{what} of the sine at 60 points, 1-5-1 tanh units: runs that reach half a mean "
        "squared error of 1e-9 and 1e-12 (of a period, many minima lie between)",
        make,
        ("lm", "newton-cg", "gauss-newton", "lbfgs"),
        {"lm": f"to {claimed:.0e}"},
        count,
    )


def _from_starts(name, network, X, Y, levels, count):
    arrays = {"X": X, "Y": Y, "starts": networks.starts(network, count)}
    return [{"id": name, "network": network, "arrays": arrays, "levels": levels, "limit": 1.0,
             "tol": 0.0}]  # fmt: skip


def _reliability(name, title, make, ours, claimed, count):
    return Case(
        name,
        f"{title}, of {count} starts, within 1 s each",
        make=make,
        entries=(
            *(("lmmfit", variant) for variant in ours),
            ("scipy", "lbfgs"),
            ("torchmin", "newton-cg"),
            ("torchmin", "l-bfgs"),
        ),
        rounds=1,
        repeats=0,
        timeout=60.0,
        claims=tuple(
            figure(f"runs of {variant} {level}", "reached",
                   OURS | {"variant": variant, "operation": level}, at_least=count)
            for variant, level in claimed.items()
        ),
    )  # fmt: skip


def _xor():
    def make():
        X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        return [{"id": "xor", "arrays": {"X": X, "Y": 1.0 * (X[:, 0] != X[:, 1])}}]

    return Case(
        "reliability_xor",
        "exclusive or, 2-2-1 tanh units, best of 10 starts: fits without an error above 0.1, of "
        "10 fits",
        make=make,
        entries=(("lmmfit", "xor"), ("sklearn", "xor")),
        rounds=1,
        repeats=0,
        timeout=60.0,
        claims=(figure("fits of ours that succeed", "reached", OURS, at_least=10),),
    )


def _float32(quick):
    network = _network((13, 8, 3), "log_loss", alpha=0.1)
    count = 2 if quick else 5

    def make():
        X, Y = _classes("wine")
        starts = networks.starts(network, count)
        v = np.random.default_rng(0).standard_normal(starts.shape[1])
        product = networks.product(network, starts[0], X, Y, v)
        arrays = {"X": X, "Y": Y, "starts": starts, "theta": starts[0], "v": v}
        return [{"id": "float32", "network": network, "arrays": arrays | {"product": product},
                 "limit": 2.0, "tol": 0.0}]  # fmt: skip

    exact, differences = ({"operation": name} for name in ("product", "product, difference"))
    return Case(
        "float32",
        "single precision: a product with the Hessian of the wine data's 13-8-3 network, and how "
        "small the gradient becomes, relative to its first length, in scaled conjugate gradients; "
        f"seconds until then; medians over {count} starts",
        make=make,
        entries=(("lmmfit", "single"),),
        rounds=1,
        repeats=0,
        claims=(
            figure("relative error of an exact product", "relative error", exact, at_most=1e-6),
            figure_ratio("error of the best difference over that", "relative error", differences,
                         exact, at_least=100),
        ),
    )  # fmt: skip


def _dataset(name, quick):
    regression = name == "diabetes"
    few = quick or name == "digits"  # where a search of all would take most of an hour
    alphas, hidden = (ALPHAS[1:3], HIDDEN[-1:]) if few else (ALPHAS, HIDDEN)

    def make():
        X, Y = _regression() if regression else _classes(name, scaled=False)
        Y = Y[:, 0] if regression else Y.argmax(axis=1)
        return [{"id": name, "arrays": {"X": X, "Y": Y}, "classes": not regression,
                 "alpha": alphas, "hidden": hidden}]  # fmt: skip

    ours = OURS | {"variant": "search"}
    return Case(
        f"datasets_{name}",
        f"{name}: mean {'R2' if regression else 'accuracy'} of 5 folds, each fitted with the best "
        f"of {len(alphas)} penalties and {len(hidden)} widths by 3 folds of its own; "
        "tol = 1e-4, the default of both; scikit-learn with at most 1000 iterations",
        make=make,
        entries=(
            ("lmmfit", "search"),
            ("sklearn", "search_lbfgs"),
            ("sklearn", "search_adam"),
        ),
        rounds=1,
        repeats=0,
        timeout=60.0 if quick else 1800.0,
        claims=(
            figure_lead("score less the best rival's", "score", RIVALS, ours, at_least=0),
            faster("than L-BFGS", SKLEARN | {"variant": "search_lbfgs"}, ours, at_least=1),
            faster("than Adam", SKLEARN | {"variant": "search_adam"}, ours, at_least=1),
        ),
    )  # fmt: skip


def _network(sizes, loss, *, alpha=0.0, activation="tanh"):
    return {
        "layer_sizes": sizes,
        "hidden_activations": activation,
        "loss": loss,
        "alpha": alpha,
    }


def _classes(name, scaled=True):
    """Return a data set of scikit-learn and its classes, a column each."""
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if scaled:
        X = X / 16 if name == "digits" else (X - X.mean(axis=0)) / X.std(axis=0)
    return X, np.eye(y.max() + 1)[y]


def _regression():
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return X, y[:, None]


def _sine_data(periods=1.0):
    X = np.linspace(-1, 1, 60)[:, None]
    return X, np.sin(periods * np.pi * X)


def _lowest_minimum(network, X, Y, starts):
    """Return the lowest value that two optimisers reach from the starts."""
    from lmmfit.curvature import FeedForwardNetwork
    from lmmfit.optimize import LBFGS, NewtonCG, minimize

    objective = FeedForwardNetwork(**network).objective(X, Y)
    return min(
        minimize(objective, start, optimizer, tol=1e-3, max_iter=10_000).value
        for start in starts
        for optimizer in (NewtonCG(), LBFGS())
    )
