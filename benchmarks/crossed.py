"""Several grouping factors, inference, many responses: speed beside right and wrong answers."""

from benchmarks import _mixed_data as data
from benchmarks import _reference as reference
from benchmarks._case import Accuracy, Case
from benchmarks._claims import faster, largest, within

OURS = {"adapter": "lmmfit"}
RIVALS = {"adapter": "!lmmfit"}
LMER = {"adapter": "lme4"}
SIMILAR = ("insteval_3", "pastes", "many_slopes")
"""Cases that a quick run leaves out."""


def cases(quick):
    """Return the cases of the suite; if `quick`, smaller ones and not those much like others."""
    every = [
        _insteval("insteval_2", "y ~ service + (1 | s) + (1 | d)", True, quick),
        _insteval("insteval_3", "y ~ service + (1 | s) + (1 | d) + (1 | dept)", False, quick),
        _small("penicillin", "penicillin_reml", "144 rows, 24 and 6 groups, crossed", quick),
        _small("pastes", "pastes_reml", "60 rows, 10 groups with 3 each, nested", quick),
        _inference(5000 if quick else 100_000, quick),
        _crossed_inference(quick),
        _profile(quick),
        _bootstrap(quick),
        _many("many_intercepts", "1", quick),
        _many("many_slopes", "x", quick),
        _reference_fits(quick),
        _reference_df("satterthwaite", "Satterthwaite's", quick),
        _reference_df("kenward_roger", "Kenward and Roger's", quick),
    ]
    return [case for case in every if not (quick and case.name in SIMILAR)]


def _insteval(name, formula, reml, quick):
    def make():
        frame = reference.original("InstEval400" if quick else "InstEval")
        return [{"id": name, "formula": formula, "reml": reml, "frame": frame}]

    rows = "1154 of its rows" if quick else "73421 rows, 2972 students, 1128 lecturers"
    claims = (
        faster("than lme4", LMER, OURS, at_least=10),
        faster("than mixedlm", {"adapter": "mixedlm"}, OURS, at_least=10),
    )
    return Case(
        name,
        f"InstEval, {formula}, {'REML' if reml else 'ML'}, {rows}",
        make=make,
        entries=(
            ("lmmfit", "lmm"),
            ("mixedlm", "formula"),
            ("lme4", "formula"),
            ("lme_python", "formula"),
        ),
        rounds=1,
        repeats=2 if quick else 3,
        budget=20.0,
        timeout=60.0 if quick else 300.0,
        warmup_groups=20,
        claims=claims,
    )


def _small(name, model, size, quick):
    formula = reference.model(model)["formula"]

    def make():
        frame = reference.original(reference.model(model)["data"])
        return [{"id": name, "formula": formula, "frame": frame}]

    fit, refit = {"operation": "fit"}, {"operation": "refit"}
    lme_python = {"adapter": "lme_python"}
    return Case(
        name,
        f"{formula}, {size}, REML, in a warm process",
        make=make,
        entries=(
            ("lmmfit", "lmm"),
            ("lme_python", "formula"),
            ("mixedlm", "formula"),
            ("lme4", "formula"),
            *(() if quick else (("interlace", "formula"), ("statsmodels", "formula"))),
            ("lmmfit", "refit"),
            ("lme_python", "refit"),
            ("mixedlm", "refit"),
            ("lme4", "refit"),
        ),
        rounds=1 if quick else 3,
        repeats=5 if quick else 50,
        budget=1.0 if quick else 2.0,
        claims=(
            faster("than lme-python", lme_python | fit, OURS | fit, at_least=1),
            faster("than lme-python, refit", lme_python | refit, OURS | refit, at_least=1),
            faster("than lme4", LMER | fit, OURS | fit, at_least=10),
            faster("than lme4, refit", LMER | refit, OURS | refit, at_least=10),
        ),
    )


def _inference(groups, quick):
    def make():
        frame, _ = data.longitudinal(groups, 10 * groups, keys="int")
        return [{"id": "inference", "formula": "y ~ x + (x | g)", "frame": frame}]

    fit = OURS | {"operation": "fit"}
    slow = (("lme_python", "satterthwaite"), ("lme_python", "kenward_roger"))
    slow += (("lme4", "satterthwaite"),)
    return Case(
        "inference_1m",
        f"df of the fixed effects of y ~ x + (x | g), {10 * groups} rows, {groups} integer "
        "groups, REML, the fitted model given",
        make=make,
        entries=(
            ("lmmfit", "lmm"),
            ("lmmfit", "satterthwaite"),
            ("lmmfit", "kenward_roger"),
            ("mixedlm", "satterthwaite"),
            ("mixedlm", "kenward_roger"),
            *(() if quick else slow),
        ),
        rounds=1,
        repeats=2 if quick else 5,
        budget=1.0 if quick else 10.0,
        timeout=60.0,
        warmup_groups=20,
        claims=tuple(
            within(f"{name} over the fit", OURS | {"operation": name}, fit, at_most=5)
            for name in ("satterthwaite", "kenward-roger")
        ),
    )


def _crossed_inference(quick):
    name = "penicillin_reml" if quick else "wide_reml"

    def make():
        problem = next(p for p in reference.fits(False) if p["id"] == name)
        both = [reference.inference(kind, False) for kind in ("satterthwaite", "kenward_roger")]
        expected = [next(p for p in some if p["id"] == name) for some in both]
        joined = expected[0]["expected"] | expected[1]["expected"]
        del problem["reference"]
        return [problem | {"beta": expected[0]["beta"], "expected": joined}]

    model = reference.model(name)
    groups = " and ".join(map(str, model["groups"].values()))
    kinds = ("satterthwaite", "kenward_roger")
    packages = ("lmmfit", "mixedlm", "lme_python", "interlace", "lme4")
    return Case(
        "inference_crossed",
        f"df of the fixed effects of {model['formula']}, {model['n']} rows, "
        f"{groups} groups, REML, the fitted model given; error: largest relative difference from "
        "lmerTest and pbkrtest at the polished fit",
        make=make,
        entries=tuple((package, kind) for kind in kinds for package in packages),
        rounds=1,
        repeats=2 if quick else 5,
        budget=1.0 if quick else 5.0,
        timeout=120.0,
        claims=(largest("largest error of ours", "error", OURS, at_most=1e-4),),
    )


def _sleepstudy(name, formula, expected, **more):
    frame, _ = data.sleepstudy()
    return [{"id": name, "formula": formula, "frame": frame, "expected": expected} | more]


def _profile(quick):
    entries = ("lmmfit", "lme4", "lme_python", "mixedlm", "interlace")
    formula = f"Reaction ~ Days + ({1 if quick else 'Days'} | Subject)"
    limits = f"sleepstudy_{'int' if quick else 'corr'}_ml"

    def make():
        return _sleepstudy("profile", formula, {"profile": reference.profile_limits(limits)})

    return Case(
        "profile",
        f"95 % profile intervals of all parameters of {formula}, 180 rows, the REML fit given; "
        "error: of the ends, over the width of the interval",
        make=make,
        entries=tuple((name, "profile") for name in entries),
        rounds=1,
        repeats=2 if quick else 10,
        budget=1.0 if quick else 5.0,
        timeout=120.0,
        claims=(
            faster("than lme4", LMER, OURS, at_least=50),
            largest("largest error of ours", "error", OURS, at_most=1e-6),
        ),
    )


def _bootstrap(quick):
    resamples = 100 if quick else 1000
    formula = "Reaction ~ Days + (Days | Subject)"

    def make():
        se = reference.model("sleepstudy_corr_reml")["se"]
        expected = {"bootstrap": {"values": se, "scale": se}}
        return _sleepstudy("bootstrap", formula, expected, resamples=resamples)

    return Case(
        "bootstrap",
        f"{resamples} parametric bootstrap refits of {formula}, 180 rows, REML; "
        "error: standard errors of the fixed effects less those of the fit, relative (chance "
        "makes it about 2 % with 1000 refits, 7 % with 100)",
        make=make,
        entries=tuple((name, "bootstrap") for name in ("lmmfit", "lme4", "lme_python", "mixedlm")),
        rounds=1,
        repeats=1 if quick else 5,
        budget=1.0 if quick else 5.0,
        timeout=120.0,
        claims=(
            faster("than lme4", LMER, OURS, at_least=50),
            faster("than the fastest rival", RIVALS, OURS, at_least=1),
        ),
    )


def _many(name, lhs, quick):
    responses, measured = (200, 5) if quick else (2000, 50)

    def make():
        frame, arrays = data.responses(responses, 1000, 50)
        slopes = lhs == "x"
        arrays["Z"] = arrays["X"] if slopes else arrays["X"][:, :1]
        for j in range(measured):
            frame[f"y{j}"] = arrays["Y"][:, j]
        formula = f"y0 ~ x + ({lhs} | g)"
        problem = {"id": name, "formula": formula, "frame": frame, "arrays": arrays}
        return [problem | {"responses": measured}]

    packages = ("lmmfit", "mixedlm_rs", "lme_python", "mixedlm", "lme4", "interlace")
    packages += () if quick else ("statsmodels",)
    return Case(
        name,
        f"y ~ x + ({lhs} | g), {responses} responses of the same 1000 rows in 50 groups, REML; "
        f"rivals fit {measured}, their times are scaled; objective: the sum of these {measured}",
        make=make,
        entries=tuple((package, "many") for package in packages),
        rounds=1,
        repeats=1 if quick else 5,
        budget=1.0 if quick else 5.0,
        timeout=120.0 if quick else 200.0,
        claims=(
            faster(
                "than separate fits of the fastest rival",
                RIVALS | {"operation": "many"},
                OURS,
                at_least=20,
            ),
            faster(
                "than refits of the fastest rival",
                RIVALS | {"operation": "many, refit"},
                OURS,
                at_least=1,
            ),
        ),
    )


def _reference_fits(quick):
    packages = ("lme_python", "mixedlm", "mixedlm_rs", "lme4", "interlace", "statsmodels")
    return _reference(
        "reference_fits",
        "objectives of the reference models, beside polished fits of lme4",
        lambda: reference.fits(quick),
        (("lmmfit", "lmm"), *((package, "formula") for package in packages)),
        Accuracy("difference", 1e-6, 1e-4),
        quick,
    )


def _reference_df(kind, whose, quick):
    packages = ("lmmfit", "lme_python", "mixedlm", "lme4", "interlace")
    return _reference(
        f"reference_{kind}",
        f"{whose} degrees of freedom of the reference models that are not singular, largest "
        "relative difference from lmerTest and pbkrtest at the polished fit",
        lambda: reference.inference(kind, quick),
        tuple((package, kind) for package in packages),
        Accuracy("error", 1e-4, 1e-2),
        quick,
    )


def _reference(name, title, make, entries, accuracy, quick):
    ours = OURS | {"variant": entries[0][1]}
    return Case(
        name,
        title,
        make=make,
        entries=entries,
        rounds=1,
        repeats=1 if quick else 3,
        budget=0.5,
        timeout=30.0 if quick else 60.0,
        claims=(largest("largest error of ours", accuracy.field, ours, at_most=accuracy.close),),
        accuracy=accuracy,
    )
