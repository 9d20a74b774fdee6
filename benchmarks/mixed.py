"""Linear mixed models with one grouping factor: the cases, and what each is to show."""

from benchmarks import _mixed_data as data
from benchmarks._case import Case
from benchmarks._claims import faster, largest, within

OURS = {"adapter": "lmmfit"}
RIVALS = {"adapter": "!lmmfit"}
LMER = {"adapter": "lme4"}


def cases(quick):
    """Return the cases of the suite, smaller ones if `quick`."""
    groups = 5000 if quick else 100_000
    return [
        _seed(quick),
        _evaluation(groups, quick),
        _arrays(groups, quick),
        _strings(groups, quick),
        _wide_groups(100 if quick else 1000, quick),
        _sleepstudy(quick),
        _reference(quick),
        _import(quick),
        _first_fit(quick),
    ]


def _seed(quick):
    n = 2000
    name = {"variant": "seed", "operation": "log_likelihood"}
    dense = {"adapter": "dense"}
    return Case(
        "seed",
        f"one log-likelihood of one observation, n = {n}, p = 5, q = 3",
        make=lambda: [{"id": "seed", "arrays": data.observation(n, 5, 3)}],
        entries=(("lmmfit", "seed"), ("dense", "seed")),
        rounds=1 if quick else 3,
        repeats=5 if quick else 20,
        trace=True,
        claims=(
            faster("than the dense density, factor given", dense, OURS | name, at_least=1000),
            largest("bytes held after 1000 calls", "growth_bytes", OURS, at_most=0),
        ),
    )


def _evaluation(groups, quick):
    def make():
        frame, arrays = data.balanced(groups, 10)
        formula = "y ~ x + (x | g)"
        return [{"id": "evaluation", "formula": formula, "frame": frame, "arrays": arrays}]

    def op(name):
        return OURS | {"operation": name}

    reads = op(("read, products.sum()", "read, numba loop"))
    return Case(
        "evaluation",
        f"REML criterion of y ~ x + (x | g), {groups} groups of 10 rows, statistics given",
        make=make,
        entries=tuple((a, "evaluation") for a in ("lmmfit", "mixedlm_rs", "mixedlm", "lme4")),
        rounds=1 if quick else 3,
        repeats=5 if quick else 20,
        warmup_groups=100,
        units=("group", groups),
        claims=(
            within("value over a pass that reads", op("value"), reads, at_most=3),
            within("with gradient over value", op("value + gradient"), op("value"), at_most=3),
            faster("than mixedlm-rs's value", {"adapter": "mixedlm_rs", "operation": "value"},
                   op("value"), at_least=1),
        ),
    )  # fmt: skip


def _arrays(groups, quick):
    def make():
        frame, arrays = data.longitudinal(groups, 10 * groups, keys="int")
        formula = "y ~ x + (x | g)"
        return [{"id": "arrays", "formula": formula, "frame": frame, "arrays": arrays}]

    ours = OURS | {"variant": "arrays"}
    mixedlm_rs = {"adapter": "mixedlm_rs", "variant": "arrays"}
    return Case(
        "arrays_1m",
        f"y ~ x + (x | g), {10 * groups} rows in random order, {groups} integer groups, REML",
        make=make,
        entries=(
            ("lmmfit", "arrays"),
            ("lmmfit", "estimator"),
            ("mixedlm_rs", "arrays"),
            *_formulas(slow=False),
        ),
        **_large(quick),
        claims=(
            faster("than mixedlm-rs on the same arrays", mixedlm_rs, ours, at_least=10),
            faster("than lme4", LMER, ours, at_least=300),
        ),
    )


def _strings(groups, quick):
    def make():
        frame, _ = data.longitudinal(groups, 10 * groups, keys="str")
        return [{"id": "strings", "formula": "y ~ x + (x | g)", "frame": frame}]

    return Case(
        "strings_1m",
        f"y ~ x + (x | g), {10 * groups} rows in random order, {groups} string keys, REML",
        make=make,
        entries=(
            ("lmmfit", "lmm"),
            ("lmmfit", "estimator"),
            ("lmmfit", "polars"),
            *_formulas(slow=False),
        ),
        **_large(quick),
        claims=(faster("than the fastest formula fit", RIVALS, OURS, at_least=5),),
    )


def _wide_groups(groups, quick):
    rows = (150, 200) if quick else (1500, 2000)

    def make():
        frame, _ = data.longitudinal(groups, rows, keys="str", covariates=4, slopes=2)
        formula = "y ~ x1 + x2 + x3 + x4 + (x1 + x2 | g)"
        return [{"id": "wide", "formula": formula, "frame": frame}]

    return Case(
        "wide_groups",
        f"y ~ x1 + ... + x4 + (x1 + x2 | g), {groups} string keys of {rows[0]}-{rows[1]} rows, "
        "group after group, REML",
        make=make,
        entries=(("lmmfit", "lmm"), ("lmmfit", "estimator"), *_formulas(slow=False)),
        **_large(quick),
        claims=(
            faster("than the fastest formula fit", RIVALS, OURS, at_least=8),
            largest("peak memory above the input", "peak_bytes", OURS, at_most=200, scale=1e-6,
                    unit=" MB"),
        ),
    )  # fmt: skip


def _sleepstudy(quick):
    def make():
        frame, arrays = data.sleepstudy()
        formula = "Reaction ~ Days + (Days | Subject)"
        return [{"id": "sleepstudy", "formula": formula, "frame": frame, "arrays": arrays}]

    formulas = {"variant": "formula"}
    ours = OURS | {"variant": ("lmm", "estimator")}
    return Case(
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject), 180 rows, 18 groups, REML, in a warm process",
        make=make,
        entries=(
            ("lmmfit", "lmm"),
            ("lmmfit", "estimator"),
            ("lmmfit", "arrays"),
            *_formulas(),
            ("lme_python", "prepared"),
        ),
        rounds=1 if quick else 3,
        repeats=10 if quick else 50,
        budget=5.0,
        claims=(
            faster("than the fastest formula fit", RIVALS | formulas, ours, at_least=2),
            faster("than lme4", LMER, ours, at_least=20),
        ),
    )


def _reference(quick):
    ours = OURS | {"variant": "lmm"}
    return Case(
        "reference",
        "objective minus that of a polished reference fit, models with one factor",
        make=data.reference_problems,
        entries=(("lmmfit", "lmm"), *_formulas()),
        rounds=1,
        repeats=0,
        claims=(largest("largest difference of ours", "difference", ours, at_most=1e-6),),
    )


def _import(quick):
    def program(statement):
        clock = "from time import perf_counter; start = perf_counter()"
        return f"{clock}\n{statement}\nprint(perf_counter() - start)"

    ours, base = {"adapter": "lmmfit"}, {"adapter": "sklearn.base, numba"}
    return Case(
        "import",
        "seconds of the import statement in a new process, taking turns",
        repeats=3 if quick else 15,
        commands={
            "lmmfit": program("import lmmfit"),
            "sklearn.base, numba": program("import sklearn.base, numba"),
        },
        claims=(within("over sklearn.base and numba", ours, base, at_most=1.15),),
    )


def _first_fit(quick):
    case = _sleepstudy(quick)
    return Case(
        "first_fit",
        "a new process: start, import, read sleepstudy from a file, fit once, end; caches warm",
        make=case.make,
        entries=(
            ("lmmfit", "lmm"),
            ("lmmfit", "arrays"),
            *((adapter, "formula") for adapter in ("statsmodels", "mixedlm", "mixedlm_rs")),
            ("lme_python", "formula"),
        ),
        rounds=1 if quick else 7,
        cold=True,
        claims=(
            faster("than statsmodels, from a DataFrame", {"adapter": "statsmodels"},
                   OURS | {"variant": "lmm"}, at_least=1),
        ),
    )  # fmt: skip


def _formulas(slow=True):
    """Return the rivals' formula fits; without statsmodels where it takes minutes."""
    names = ("lme_python", "mixedlm_rs", "mixedlm", "lme4", *(("statsmodels",) if slow else ()))
    return tuple((name, "formula") for name in names)


def _large(quick):
    """Return how a case with many rows is run: a small warm-up, few repeats, a time limit."""
    return {
        "rounds": 1,
        "repeats": 2 if quick else 3,
        "budget": 1.0 if quick else 20.0,
        "timeout": 60.0 if quick else 260.0,
        "warmup_groups": 20,
    }
