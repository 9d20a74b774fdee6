import contextlib
import importlib.metadata
import io
import os
import re
import subprocess
import sys

import numpy as np
import pandas
import pytest

import lmmfit
from lmmfit import lmm
from lmmfit.__main__ import main

FORMULA = "Reaction ~ Days + (Days | Subject)"
PICTURES = {"fitted-lines.png", "random-effects.png", "residuals.png"}


@pytest.fixture
def table(frames):
    frame = frames["sleepstudy"].copy()
    return frame.astype({"Subject": "str"})


@pytest.fixture
def folder(tmp_path, monkeypatch, table):
    """A working folder with the data as sleep.csv."""
    monkeypatch.chdir(tmp_path)
    table.to_csv("sleep.csv", index=False)
    return tmp_path


def refused(capsys, *arguments):
    """Run a command that must be refused; give its one line."""
    assert main(list(arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("lmmfit: error: ")
    assert all(line.startswith("note: ") for line in lines[:-1])
    return lines[-1]


# The demonstration ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder and text of one run of the demonstration."""
    folder = tmp_path_factory.mktemp("demo")
    text = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(text):
        assert main([]) == 0
    return folder, text.getvalue()


def test_demo_shows_the_fit_beside_statsmodels(demo):
    _, text = demo
    assert "REML criterion 1743.6283" in text
    rows = {
        name.strip(): [float(number) for number in numbers.split()]
        for name, numbers in re.findall(r"^(.{22})((?: +[-+.\de]+){3})$", text, re.MULTILINE)
    }
    assert len(rows) == 9
    np.testing.assert_allclose(rows["REML criterion"][:2], 1743.62827, atol=1e-4)
    np.testing.assert_allclose(rows["SD Days"][:2], 5.92213, atol=1e-3)
    assert all(abs(difference) < 1e-2 for *_, difference in rows.values())
    assert "statsmodels " + importlib.metadata.version("statsmodels") in text
    assert re.search(r"time of a refit +[\d.]+ m?s +[\d.]+ m?s +[\d.]+ x faster", text)


def test_demo_cross_validates(demo):
    _, text = demo
    rows = re.findall(r"^(mixed|linear) model .* ([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    errors = {name: (float(known), float(unseen)) for name, known, unseen in rows}
    assert errors["mixed"][0] < 0.7 * errors["linear"][0]
    assert errors["mixed"][1] == pytest.approx(errors["linear"][1], rel=0.1)


def test_demo_saves_pictures_and_the_data(demo):
    folder, text = demo
    saved = folder / "lmmfit-demo"
    assert {path.name for path in saved.iterdir()} == {*PICTURES, "sleepstudy.csv.gz"}
    for name in PICTURES:
        assert (saved / name).read_bytes().startswith(b"\x89PNG")
        assert f"{os.path.join('lmmfit-demo', name)} " in text


def test_demo_is_readable_in_100_columns(demo):
    assert [line for line in demo[1].splitlines() if len(line) > 100] == []


def test_demo_names_commands_that_run(demo, monkeypatch, capsys):
    folder, text = demo
    monkeypatch.chdir(folder)
    commands = re.findall(r' -m lmmfit fit "(.*)" (\S+)(.*)$', text, re.MULTILINE)
    assert len(commands) == 2
    for formula, path, options in commands:
        assert main(["fit", formula, path, *options.split()]) == 0
        assert "180 rows; Subject: 18 levels" in capsys.readouterr().out


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from lmmfit.__main__ import main
sys.exit(main(["--output", sys.argv[2]]))
"""


@pytest.mark.parametrize("missing", ["statsmodels", "matplotlib", "pandas"])
def test_demo_goes_on_without(missing, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, "out"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "REML criterion 1743.6283" in done.stdout
    assert "unseen subjects" in done.stdout
    assert re.search(r"pip install 'lmmfit\[(demo|plot)\]'", done.stdout)
    pictures = {path.name for path in (tmp_path / "out").iterdir()} - {"sleepstudy.csv.gz"}
    assert pictures == (set() if missing == "matplotlib" else PICTURES)


# fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_fit_reads_every_format(suffix, folder, table, capsys):
    if suffix == ".parquet":
        table.to_parquet("t.parquet")
    else:
        table.to_csv("t" + suffix, index=False)
    assert main(["fit", FORMULA, "t" + suffix]) == 0
    out, err = capsys.readouterr()
    assert out == f"{lmm(FORMULA, table).summary()}\n"
    assert err == ""


def test_fit_by_maximum_likelihood(folder, capsys):
    assert main(["fit", FORMULA, "sleep.csv", "--ml"]) == 0
    assert "-2 logLik 1751.9393" in capsys.readouterr().out


def test_fit_with_weights(folder, table, capsys):
    table["w"] = 1.0 + np.arange(180) % 3
    table.to_csv("w.csv", index=False)
    assert main(["fit", FORMULA, "w.csv", "--weights", "w", "--plot", "pictures"]) == 0
    summary = lmm(FORMULA, table, sample_weight="w").summary()
    assert capsys.readouterr().out.startswith(f"{summary}\n")
    assert {path.name for path in (folder / "pictures").iterdir()} == PICTURES


def test_every_random_term_has_a_picture(folder, capsys, frames):
    frames["penicillin"].to_csv("plates.csv", index=False)
    command = ["fit", "diameter ~ 1 + (1 | plate) + (1 | sample)", "plates.csv", "--plot", "two"]
    assert main(command) == 0
    found = {path.name for path in (folder / "two").iterdir()}
    assert {"random-effects-plate.png", "random-effects-sample.png", "residuals.png"} <= found
    assert "random effects of sample" in capsys.readouterr().out


def test_fit_tells_warnings_as_notes(folder, table, capsys):
    table.loc[3, "Days"] = np.nan
    table.to_csv("holes.csv", index=False)
    assert main(["fit", FORMULA, "holes.csv", "--plot", "pictures"]) == 0
    out, err = capsys.readouterr()
    assert "179 rows" in out
    assert err.startswith("note: 1 of 180 rows were dropped")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_predictions_go_to_a_file(suffix, folder, table, capsys):
    output = "out" + suffix
    assert main(["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", output]) == 0
    read = pandas.read_parquet if suffix == ".parquet" else pandas.read_csv
    out = read(output)
    mean, std = lmm(FORMULA, table).predict(table, return_std=True)
    assert list(out) == [*table, "prediction", "std"]
    np.testing.assert_allclose(out["prediction"], mean, rtol=1e-12)
    np.testing.assert_allclose(out["std"], std, rtol=1e-12)
    assert f"Predictions of 180 rows: {output}" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"sleep.csv", output}


def test_predictions_go_to_standard_output(folder, capsys):
    (folder / "new.csv").write_text("Days,Subject\n1,308\n2,someone\n,309\n")
    assert main(["fit", FORMULA, "sleep.csv", "--predict", "new.csv"]) == 0
    captured = capsys.readouterr()
    header, known, unknown, empty = captured.out.splitlines()
    assert header == "Days,Subject,prediction,std"
    assert float(known.split(",")[2]) == pytest.approx(273.32993, rel=1e-6)
    assert float(unknown.split(",")[2]) == pytest.approx(251.40510 + 2 * 10.46729, rel=1e-6)
    assert empty == ",309,,"
    assert "REML criterion" in captured.err
    assert "note: 1 of 3 rows of 'new.csv' have missing values" in captured.err
    assert "note: 1 of 3 rows of 'new.csv' belong to levels of 'Subject'" in captured.err


def test_an_existing_output_is_replaced_and_may_be_a_link(folder):
    (folder / "kept").mkdir()
    target = folder / "kept" / "out.csv"
    target.write_text("old")
    (folder / "link.csv").symlink_to(target)
    command = ["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "link.csv"]
    assert main(command) == 0
    assert (folder / "link.csv").is_symlink()
    assert len(pandas.read_csv(target)) == 180


def test_a_failed_write_leaves_the_old_output(folder, monkeypatch, capsys):
    (folder / "out.csv").write_text("old")

    def fail(self, stream, **_):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pandas.DataFrame, "to_csv", fail)
    line = refused(
        capsys, "fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "out.csv"
    )
    assert "No space left on device" in line
    assert (folder / "out.csv").read_text() == "old"
    assert {path.name for path in folder.iterdir()} == {"sleep.csv", "out.csv"}


def test_a_linear_model_has_one_picture(folder, capsys):
    assert main(["fit", "Reaction ~ Days", "sleep.csv", "--plot", "deep/er"]) == 0
    assert [path.name for path in (folder / "deep" / "er").iterdir()] == ["residuals.png"]
    assert "note: no picture of the fitted lines" in capsys.readouterr().err


BAD = {
    "missing": (["fit", FORMULA, "no.csv"], "'no.csv' does not exist"),
    "folder": (["fit", FORMULA, "some.csv"], "'some.csv' is a folder"),
    "format": (["fit", FORMULA, "sleep.xlsx"], "must end in .csv, .csv.gz or .parquet"),
    "empty": (["fit", FORMULA, "empty.csv"], "cannot read 'empty.csv'"),
    "gzip": (["fit", FORMULA, "text.csv.gz"], "cannot read 'text.csv.gz'"),
    "cut": (["fit", FORMULA, "cut.csv.gz"], "cannot read 'cut.csv.gz'"),
    "parquet": (["fit", FORMULA, "text.parquet"], "cannot read 'text.parquet'"),
    "ragged": (["fit", FORMULA, "ragged.csv"], "cannot read 'ragged.csv'"),
    "no tilde": (["fit", "Reaction Days", "sleep.csv"], "exactly one '~'"),
    "bracket": (["fit", "Reaction ~ (Days | Subject", "sleep.csv"], "without its partner"),
    "no group": (["fit", "Reaction ~ (Days | )", "sleep.csv"], "names no grouping factor"),
    "fixed": (["fit", "Reaction ~ Dayz + (1 | Subject)", "sleep.csv"], "'Dayz'"),
    "response": (["fit", "React ~ Days", "sleep.csv"], "'React'"),
    "factor": (["fit", "Reaction ~ Days + (1 | Sub)", "sleep.csv"], "'Sub'"),
    "call": (["fit", "Reaction ~ foo(Days)", "sleep.csv"], "foo"),
    "weights": (["fit", FORMULA, "sleep.csv", "--weights", "w"], "--weights names"),
    "alone": (["fit", FORMULA, "sleep.csv", "--output", "out.csv"], "--predict"),
    "suffix": (
        ["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "out.txt"],
        "'out.txt' has no known format",
    ),
    "nowhere": (
        ["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "no/out.csv"],
        "the folder of 'no/out.csv' does not exist",
    ),
    "onto": (
        ["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "some.csv"],
        "no regular file",
    ),
    "lacks": (
        ["fit", FORMULA, "sleep.csv", "--predict", "days.csv"],
        r"'days.csv' lacks the columns \['Subject'\]",
    ),
    "taken": (
        ["fit", FORMULA, "sleep.csv", "--predict", "taken.csv"],
        r"already has the columns \['std'\]",
    ),
    "plot": (["fit", FORMULA, "sleep.csv", "--plot", "sleep.csv"], "cannot make the folder"),
    "demo": (["--output", "sleep.csv"], "cannot make the folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_line_and_status_2(case, folder, capsys):
    (folder / "some.csv").mkdir()
    (folder / "empty.csv").write_text("")
    (folder / "text.csv.gz").write_text("Days")
    (folder / "text.parquet").write_text("Days")
    (folder / "ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    (folder / "days.csv").write_text("Days\n1\n")
    (folder / "taken.csv").write_text("Days,Subject,std\n1,308,2\n")
    pandas.read_csv("sleep.csv").to_csv("cut.csv.gz", index=False)
    (folder / "cut.csv.gz").write_bytes((folder / "cut.csv.gz").read_bytes()[:-40])
    arguments, message = BAD[case]
    assert re.search(message, refused(capsys, *arguments))
    assert not (folder / "out.csv").exists()


def test_a_folder_that_is_not_writable(folder, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the mode does not stop root
    command = ["fit", FORMULA, "sleep.csv", "--predict", "sleep.csv", "--output", "out.csv"]
    assert "not writable" in refused(capsys, *command)
    assert "not writable" in refused(capsys, "fit", FORMULA, "sleep.csv", "--plot", "pictures")


def test_without_pandas_tables_are_refused(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "pip install 'lmmfit[demo]'" in refused(capsys, "fit", FORMULA, "sleep.csv")


def test_labels_may_be_numbers_in_one_file_and_text_in_the_other(folder, capsys):
    (folder / "new.csv").write_text("Days,Subject\n1,308\n1,X1\n")
    assert main(["fit", FORMULA, "sleep.csv", "--predict", "new.csv"]) == 0
    first = capsys.readouterr().out
    (folder / "new.csv").write_text("Days,Subject\n1,308\n")
    assert main(["fit", FORMULA, "sleep.csv", "--predict", "new.csv"]) == 0
    assert first.splitlines()[:2] == capsys.readouterr().out.splitlines()


# The program ---------------------------------------------------------------------------------


def test_version_as_a_process():
    command = [sys.executable, "-m", "lmmfit", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"lmmfit {lmmfit.__version__}\n"
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"]])
def test_help_has_examples(arguments, capsys):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 0
    assert 'python -m lmmfit fit "y ~ x + (x | g)" old.csv --predict new.csv' in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("arguments", [["walk"], ["fit"], ["fit", "y ~ x"], ["--nope"]])
def test_usage_errors_have_status_2(arguments):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
