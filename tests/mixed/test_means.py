"""Marginal means and slopes: against emmeans, against averages of predictions, invariances."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed._contrast_kinds import contrast_weights
from lmmfit.mixed.means import marginal_means, marginal_trends

REFERENCE = Path(__file__).parents[1] / "reference"
EMMEANS = json.loads((REFERENCE / "inference.json").read_text("utf-8"))["emmeans"]
MEANS = [
    pytest.param(case, record, id=f"{case['id']} {record['specs']} {record['ddf']} {j}")
    for case in EMMEANS["means"]
    for j, record in enumerate(case["records"])
]


@pytest.fixture(scope="module")
def remade(frames):
    """Function from a case of emmeans to its fit."""
    models = {}

    def fit(case):
        key = case["data"], case["formula"]
        if key not in models:
            if case["data"].startswith("sim_"):
                frame = pandas.read_csv(REFERENCE / "data" / f"{case['data']}.csv.gz")
            else:
                frame = frames[case["data"].lower().removesuffix("weight")].copy()
            if "nitro" in frame:
                frame["nf"] = frame["nitro"].map("{:g}".format)
            models[key] = lmm(case["formula"], frame)
        return models[key]

    return fit


@pytest.fixture(scope="module")
def pups(frames):
    return lmm("weight ~ Treatment * sex + Lsize + (1 | Litter)", frames["ratpup"])


def same(table, expected, names, rtol=1e-6):
    for ours, theirs in names.items():
        np.testing.assert_allclose(
            table[ours], expected[theirs], rtol=rtol, atol=1e-6, err_msg=ours
        )


def read_specs(text):
    factors, _, by = text.lstrip("~ ").partition("|")
    return [name.strip() for name in factors.split("*")], by.strip() or None


FROM_R = {"std_error": "SE", "df": "df", "lower": "lower.CL", "upper": "upper.CL"}
TESTED = {"estimate": "estimate", "statistic": "t.ratio", "p_value": "p.value", **FROM_R}


class TestEmmeans:
    @pytest.mark.parametrize(("case", "record"), MEANS)
    def test_means_and_pairs(self, remade, case, record):
        factors, by = read_specs(record["specs"])
        means = marginal_means(
            remade(case), factors, by=by, at=record["at"] or None, ddf=record["ddf"]
        )
        for name in factors:
            assert [str(v) for v in means.table[name]] == [str(v) for v in record["means"][name]]
        same(means.table, record["means"], {"mean": "emmean", **FROM_R})
        for adjust, adjusted in record["pairs"].items():
            table, expected = means.contrast(adjust=adjust), record["pairs"]["none"] | adjusted
            if adjust == "mvt":  # a simulation there
                np.testing.assert_allclose(table["p_value"], expected["p.value"], atol=1e-3)
            elif adjust in ("holm", "fdr"):  # Bonferroni's limits there
                same(table, expected, {"estimate": "estimate", "p_value": "p.value"})
            else:
                same(table, expected, TESTED)
        if "trt.vs.ctrl_mvt" in record:
            expected = record["trt.vs.ctrl_dunnettx"] | record["trt.vs.ctrl_mvt"]
            table = means.contrast("reference")
            names = [name.replace("nf", "") for name in expected["contrast"]]
            assert table["name"].tolist() == names
            same(table, expected, {"estimate": "estimate", "std_error": "SE", "df": "df"})
            np.testing.assert_allclose(table["p_value"], expected["p.value"], atol=1e-3)
        if "trt.vs.ctrl_exact" in record:
            expected = record["trt.vs.ctrl_exact"]
            np.testing.assert_allclose(table["p_value"], expected["p.value"], atol=1e-6)

    @pytest.mark.parametrize("case", EMMEANS["trends"], ids=lambda c: f"{c['id']} {c['ddf']}")
    def test_trends(self, remade, case):
        (factor,), _ = read_specs(case["specs"])
        slopes = marginal_trends(remade(case), case["variable"], factor, ddf=case["ddf"])
        same(slopes.table, case["trends"], {"trend": f"{case['variable']}.trend", **FROM_R})
        same(slopes.contrast(), case["pairs"], TESTED)

    def test_own_contrasts(self, remade):
        custom = EMMEANS["custom"]
        means = marginal_means(remade(EMMEANS["means"][0]), "Treatment")
        same(means.contrast(custom["coefficients"]), custom["contrasts"], TESTED)
        bonferroni = means.contrast(custom["coefficients"], adjust="bonferroni")
        same(bonferroni, custom["bonferroni"], TESTED)
        same(means.contrast("effect", adjust="none"), custom["effects"], TESTED)
        ninety = marginal_means(remade(EMMEANS["means"][0]), "Treatment", level=0.9)
        same(ninety.table, custom["level90"], {"mean": "emmean", **FROM_R})


class TestMeans:
    def test_averages_of_predictions(self, pups, frames):
        grid = pandas.MultiIndex.from_product(
            [["Control", "Low", "High"], ["Male", "Female"]], names=["Treatment", "sex"]
        ).to_frame(index=False)
        grid["Lsize"], grid["Litter"] = frames["ratpup"]["Lsize"].mean(), "none"
        expected = pups.predict(grid, conditional=False).reshape(3, 2)
        np.testing.assert_allclose(
            marginal_means(pups, "Treatment").table["mean"], expected.mean(axis=1)
        )
        both = marginal_means(pups, ["sex", "Treatment"])
        np.testing.assert_allclose(both.table["mean"], expected.ravel())
        assert both.table["sex"].tolist() == 3 * ["Male", "Female"]
        assert both.factors == ("sex", "Treatment")
        assert marginal_means(pups, []).table["mean"] == pytest.approx(expected.mean())
        share = (frames["ratpup"]["sex"] == "Male").mean()
        weighted = expected @ [share, 1.0 - share]
        found = marginal_means(pups, "Treatment", weights="proportional")
        np.testing.assert_allclose(found.table["mean"], weighted)
        for weights in ([3 * share, 3 * (1 - share)], {"Male": share, "Female": 1 - share}):
            found = marginal_means(pups, "Treatment", weights={"sex": weights})
            np.testing.assert_allclose(found.table["mean"], weighted)

    def test_notes(self, pups):
        means = marginal_means(pups, "Treatment", weights="proportional")
        assert means.notes == (
            "averaged over sex with weights proportional to rows; Lsize at 13.33",
        )
        assert str(means).endswith(means.notes[0])
        assert "<table>" in means._repr_html_()
        means = marginal_means(pups, ["Treatment", "sex", "Lsize"])
        assert means.notes == ()
        assert means.table.columns[:3] == ["Treatment", "sex", "Lsize"]

    def test_values_chosen(self, pups):
        some = marginal_means(
            pups, ["Treatment", "Lsize"], at={"Treatment": ["High", "Low"], "Lsize": (8, 12)}
        )
        assert some.table["Treatment"].tolist() == ["High", "Low", "High", "Low"]
        assert some.table["Lsize"].tolist() == [8.0, 8.0, 12.0, 12.0]
        one = marginal_means(pups, "Treatment", at={"sex": "Male"})
        sexes = marginal_means(pups, "Treatment", by="sex")
        np.testing.assert_allclose(one.table["mean"], sexes.table["mean"][:3])
        averaged = marginal_means(pups, [], at={"Lsize": [8, 12]}).table["mean"]
        assert averaged == pytest.approx(marginal_means(pups, [], at={"Lsize": 10}).table["mean"])

    def test_numbers_coded_as_categories(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ C(Days) + (1 | Subject)", frame)
        means = marginal_means(model, "Days").table
        assert means["Days"].tolist() == list(range(10))
        expected = frame.groupby("Days")["Reaction"].mean()
        np.testing.assert_allclose(means["mean"], expected)

    def test_other_codings_and_quoted_names(self, frames, pups):
        frame = frames["ratpup"].rename(columns={"sex": "the sex"})
        formula = "weight ~ C(Treatment, contr.sum) * C(`the sex`, contr.helmert) + Lsize"
        other = lmm(f"{formula} + (1 | Litter)", frame)
        for names in (("Treatment", "Treatment"), ("sex", "the sex")):
            ours, theirs = (
                marginal_means(model, name)
                for model, name in zip((pups, other), names, strict=True)
            )
            for column in ("mean", "std_error", "df"):
                np.testing.assert_allclose(ours.table[column], theirs.table[column], rtol=1e-5)

    def test_transformed_columns_are_set_before(self, frames):
        frame = frames["sleepstudy"]
        model = lmm("Reaction ~ log(Days + 1) + I(Days^2) + (1 | Subject)", frame)
        intercept, log, square = model.result_.beta
        mean = marginal_means(model, []).table["mean"]
        assert mean == pytest.approx(intercept + log * np.log(5.5) + square * 4.5**2)
        slope = marginal_trends(model, "Days").table["trend"]
        assert slope == pytest.approx(log / 5.5 + square * 9.0, rel=1e-9)

    def test_offsets(self, frames):
        frame = frames["sleepstudy"].assign(w=np.arange(180) % 5)
        model = lmm("Reaction ~ Days + offset(10 * Days + w^2) + (1 | Subject)", frame)
        mean = marginal_means(model, []).table["mean"]
        assert mean == pytest.approx(model.result_.beta @ [1.0, 4.5] + 45.0 + 4.0)
        slope = marginal_trends(model, "Days").table["trend"]
        assert slope == pytest.approx(model.result_.beta[1] + 10.0)
        assert marginal_trends(model, "w").table["trend"] == pytest.approx(4.0)

    def test_arrays_and_columns_of_numbers(self, frames):
        frame = frames["orthodont"]
        array = np.column_stack([frame["age"], frame["Subject"].cat.codes])
        model = LinearMixedModel(random="(1 | x1)").fit(array, frame["distance"])
        assert model.design_.notes is None
        mean = marginal_means(model, []).table["mean"]
        assert mean == pytest.approx(frame["distance"].mean())
        table = marginal_means(model, "x0", at={"x0": [8, 14]}).table
        assert np.diff(table["mean"]) == pytest.approx(6.0 * model.coef_)
        assert marginal_trends(model, "x0").table["trend"] == pytest.approx(model.coef_)

    def test_frames_of_polars(self, pups, frames):
        frame = frames["ratpup"].astype({"sex": str, "Treatment": str, "Litter": str})
        model = lmm(
            "weight ~ Treatment * sex + Lsize + (1 | Litter)",
            polars.DataFrame(frame.to_dict(orient="list")),
        )
        ours, theirs = marginal_means(model, "Treatment"), marginal_means(pups, "Treatment")
        assert ours.table["Treatment"].tolist() == ["Control", "High", "Low"]
        np.testing.assert_allclose(ours.table["mean"], theirs.table["mean"][[0, 2, 1]], rtol=1e-6)

    def test_means_are_those_of_all_chunks(self, frames):
        frame = frames["ratpup"]
        model = LinearMixedModel(random="(1 | Litter)", fixed="sex + Lsize + I(Lsize**2)")
        parts = frame.iloc[::2], frame.iloc[1::2]
        for part in parts:
            model.partial_fit(part, part["weight"])
        whole = LinearMixedModel(random="(1 | Litter)", fixed=model.fixed)
        whole.fit(frame, frame["weight"])
        ours, theirs = (marginal_means(m, "sex").table for m in (model, whole))
        np.testing.assert_allclose(ours["mean"], theirs["mean"], rtol=1e-6)
        with pytest.raises(ValueError, match="not available: it counts rows, and not every row"):
            marginal_means(model, [], weights="proportional")
        model = LinearMixedModel(random="(1 | Litter)", fixed="log(Lsize)")
        for part in parts:
            model.partial_fit(part, part["weight"])
        with pytest.raises(ValueError, match=r"mean of 'Lsize' .* at=\{'Lsize': \.\.\.\}"):
            marginal_means(model, [])
        assert len(marginal_means(model, [], at={"Lsize": 13}).table) == 1

    def test_weights_of_rows(self, frames):
        frame = frames["ratpup"].assign(w=1.0 + np.arange(322) % 3)
        model = lmm("weight ~ sex + Lsize + (1 | Litter)", frame, sample_weight="w")
        mean = np.average(frame["Lsize"], weights=frame["w"])
        fixed = marginal_means(model, "sex", at={"Lsize": mean}).table["mean"]
        np.testing.assert_allclose(marginal_means(model, "sex").table["mean"], fixed)
        with pytest.raises(ValueError, match=r"different weights. .*weights=\{'sex':"):
            marginal_means(model, [], weights="proportional")

    def test_several_grouping_factors(self, remade):
        case = next(case for case in EMMEANS["means"] if case["id"] == "machines")
        means = marginal_means(remade(case), "Machine")
        assert len(means.contrast()) == 3

    def test_empty_cells(self, frames):
        frame = frames["ratpup"]
        frame = frame[(frame["Treatment"] != "High") | (frame["sex"] == "Male")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = lmm("weight ~ Treatment * sex + (1 | Litter)", frame)
        cells = marginal_means(model, "Treatment", by="sex")
        assert np.flatnonzero(np.isnan(cells.table["mean"])).tolist() == [5]
        table = cells.contrast()
        assert np.isnan(table["p_value"]).tolist() == [False, False, False, False, True, True]
        assert np.isnan(marginal_means(model, "Treatment").table["mean"]).tolist() == [
            False,
            False,
            True,
        ]
        adjusted = cells.contrast(adjust="mvt")
        assert adjusted["p_value"][3] == pytest.approx(cells.contrast(adjust="none")["p_value"][3])


class TestContrasts:
    def test_families(self, pups):
        means = marginal_means(pups, "Treatment", by="sex")
        table = means.contrast()
        assert table["name"].tolist() == 2 * ["Control - Low", "Control - High", "Low - High"]
        assert table["sex"].tolist() == 3 * ["Male"] + 3 * ["Female"]
        assert len(means.contrast(by=())) == 15
        sexes = means.contrast(by="Treatment", adjust="none")
        assert sexes["name"].tolist() == 3 * ["Male - Female"]
        both = marginal_means(pups, ["Treatment", "sex"])
        again = both.contrast(by="Treatment", adjust="none")
        np.testing.assert_allclose(sexes["estimate"], again["estimate"])

    def test_reference(self, pups):
        means = marginal_means(pups, "Treatment")
        assert means.contrast("reference")["name"].tolist() == ["Low - Control", "High - Control"]
        table = means.contrast("reference", reference="High")
        assert table["name"].tolist() == ["Control - High", "Low - High"]
        both = marginal_means(pups, ["Treatment", "sex"])
        table = both.contrast("reference", reference=("Low", "Female"))
        assert table["name"][0] == "Control Male - Low Female"

    def test_defaults_of_the_adjustment(self, pups):
        means = marginal_means(pups, "Treatment")
        for kind, adjust in (
            ("pairwise", "tukey"), ("reference", "mvt"), ("sequential", "mvt"),
            ("effect", "fdr"), ("polynomial", "none"), ({"c": [1, 0, -1]}, "none"),
        ):  # fmt: skip
            np.testing.assert_array_equal(
                means.contrast(kind)["p_value"], means.contrast(kind, adjust=adjust)["p_value"]
            )

    def test_sequential(self, pups):
        means = marginal_means(pups, "Treatment")
        table = means.contrast("sequential", level=0.9)
        assert table["name"].tolist() == ["Low - Control", "High - Low"]
        np.testing.assert_allclose(table["estimate"], np.diff(means.table["mean"]))

    def test_polynomials(self):
        # Fisher and Yates (1963), table XXIII.
        for m, rows in {
            3: [[-1, 0, 1], [1, -2, 1]],
            4: [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]],
            5: [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]],
            6: [[-5, -3, -1, 1, 3, 5], [5, -1, -4, -4, -1, 5], [-5, 7, 4, -4, -7, 5]],
        }.items():
            names, weights = contrast_weights("polynomial", list("abcdef"[:m]))
            np.testing.assert_array_equal(weights[: len(rows)], rows)
            assert names[:2] == ["linear", "quadratic"]
        assert len(contrast_weights("polynomial", list("abcdefghij"))[0]) == 6

    @given(order=st.permutations(["Control", "Low", "High"]), sex=st.booleans())
    def test_baselines_do_not_matter(self, frames, pups, order, sex):
        frame = frames["ratpup"].copy()
        frame["Treatment"] = frame["Treatment"].cat.reorder_categories(order)
        if sex:
            frame["sex"] = frame["sex"].cat.reorder_categories(["Female", "Male"])
        model = lmm("weight ~ Treatment * sex + Lsize + (1 | Litter)", frame)
        ours, theirs = (marginal_means(m, "Treatment", ddf="satterthwaite") for m in (model, pups))
        own = {label: weight for label, weight in zip(order, (1.0, -0.4, -0.6), strict=True)}
        other = [own[label] for label in theirs.table["Treatment"]]
        found = ours.contrast({"c": list(own.values())})
        expected = theirs.contrast({"c": other})
        for name in ("estimate", "std_error", "df", "p_value"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


class TestTrends:
    def test_at_several_values(self, frames):
        model = lmm("Reaction ~ Days + I(Days^2) + (1 | Subject)", frames["sleepstudy"])
        slopes = marginal_trends(model, "Days", "Days", at={"Days": [0, 4.5, 9]})
        assert slopes.table["Days"].tolist() == [0.0, 4.5, 9.0]
        _, linear, square = model.result_.beta
        np.testing.assert_allclose(
            slopes.table["trend"], linear + 2.0 * square * np.array([0.0, 4.5, 9.0]), rtol=1e-9
        )
        np.testing.assert_allclose(slopes.L[:, 1], 1.0, rtol=1e-11)

    def test_logarithms_near_zero(self, frames):
        frame = frames["sleepstudy"].assign(x=10.0 ** (frames["sleepstudy"]["Days"] - 4))
        model = lmm("Reaction ~ log(x) + (1 | Subject)", frame)
        slope = marginal_trends(model, "x", at={"x": 1e-4}).table["trend"]
        assert slope == pytest.approx(1e4 * model.coef_, rel=1e-8)


class TestBadInput:
    @pytest.mark.parametrize(
        ("factors", "options", "message"),
        [
            ("treatment", {}, r"'treatment' is no column .*\['sex', 'Lsize', 'Treatment'\]"),
            ("Litter", {}, "'Litter' is no column of the fixed effects"),
            ("sex", {"by": "sex"}, "'sex' is among the factors and in by"),
            (["sex", "sex"], {}, "names a column twice"),
            ([1], {}, "must name columns"),
            ("sex", {"at": {"dose": 1}}, "'dose' is no column"),
            ("sex", {"at": {"sex": "male"}}, r"'male' is no level of 'sex'.*\['Male', 'Female'\]"),
            ("sex", {"at": {"Lsize": "big"}}, "'big' for 'Lsize' is no finite number"),
            ("sex", {"at": {"Lsize": np.nan}}, "nan for 'Lsize' is no finite number"),
            ("sex", {"at": {"Lsize": []}}, "no value for 'Lsize'"),
            ("sex", {"at": {"Lsize": np.arange(1e5)}}, r"6e\+05 rows .*Lsize 100000.* with at="),
            ("sex", {"weights": "cells"}, "got 'cells'"),
            ("sex", {"weights": {"sex": [1, 1]}}, r"'sex' is not averaged over.*\['Treatment'\]"),
            ("sex", {"weights": {"Treatment": [1, 2]}}, r"one number.*'High'\]; got \[1, 2\]"),
            ("sex", {"weights": {"Treatment": {"Low": 1}}}, "one number, not negative"),
            ("sex", {"level": 0}, "level must lie between 0 and 1, got 0"),
            ("sex", {"ddf": "exact"}, "ddf must be one of"),
        ],
    )
    def test_means(self, pups, factors, options, message):
        with pytest.raises(ValueError, match=message):
            marginal_means(pups, factors, **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kind": "tukey"}, "kind must be one of .* got 'tukey'"),
            ({"adjust": "dunnett"}, "adjust must be one of .* got 'dunnett'"),
            ({"kind": "reference", "reference": "None"}, r"none of the levels \['Control'"),
            ({"reference": "Low"}, "reference is for kind='reference'"),
            ({"kind": {"c": [1, -1]}}, r"one number for each of the 3 means .* got \[1, -1\]"),
            ({"kind": {}}, "kind is empty"),
            ({"by": "sex"}, r"'sex' is none of the columns \['Treatment'\]"),
            ({"by": "Treatment"}, "there is only one in each family"),
            ({"level": 2}, "level must lie between 0 and 1, got 2"),
            ({"kind": "sequential", "adjust": "tukey"}, "pairwise differences"),
        ],
    )
    def test_contrasts(self, pups, options, message):
        with pytest.raises(ValueError, match=message):
            marginal_means(pups, "Treatment").contrast(**options)

    @pytest.mark.parametrize("variable", ["Treatment", "litters"])
    def test_trends(self, pups, variable):
        with pytest.raises(
            ValueError, match=rf"'{variable}' is no column of numbers.*\['Lsize'\]"
        ):
            marginal_trends(pups, variable)

    def test_values_outside_a_transformation(self, frames):
        model = lmm("Reaction ~ sqrt(Days) + (1 | Subject)", frames["sleepstudy"])
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=r"is nan at .*'Days'"):
            marginal_means(model, [], at={"Days": -1})

    def test_models_without_intercept_need_values(self, frames):
        model = lmm("Reaction ~ 0 + Days + (0 + Days | Subject)", frames["sleepstudy"])
        with pytest.raises(ValueError, match="the model has no intercept"):
            marginal_means(model, [])
        assert len(marginal_means(model, "Days", at={"Days": [1, 2]}).table) == 2
