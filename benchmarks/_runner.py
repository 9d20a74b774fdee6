"""Run a case: data to files, each measurement in its own process, entries taking turns."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks._machine import describe, held_to
from benchmarks._worker import clean

ROOT = Path(__file__).parent.parent
SLOW = 10.0
"""An entry whose run takes longer, in seconds, is not measured in further rounds."""


def run_case(case, *, repeats=None, quick=False):
    """Measure every entry of a case.

    Parameters
    ----------
    case : Case
        What to measure.
    repeats : int, default=None
        Timed runs in each process, instead of the case's own number.
    quick : bool, default=False
        Noted in the result.

    Returns
    -------
    dict
        ``title``, ``quick``, ``machine``, ``units``, ``exact``, ``rows`` and ``claims``. A row
        holds ``adapter, variant, operation, problem, status`` and, if the status is ``ok``,
        ``seconds`` (a list), ``median`` and what the worker reported.
    """
    machine = describe(case.threads)
    with tempfile.TemporaryDirectory(prefix="lmmfit-benchmark-") as folder:
        # A case without repeats runs once, whatever the command line says.
        repeats = repeats if repeats and case.repeats else case.repeats
        if case.commands:
            rows = _run_commands(case, repeats, folder)
        else:
            rows = _run_entries(case, repeats, Path(folder))
    for row in rows:
        if row["status"] == "ok":
            row["median"] = median(row["seconds"])
    return {
        "name": case.name,
        "title": case.title,
        "quick": quick,
        "machine": machine,
        "units": list(case.units) if case.units else None,
        "accuracy": asdict(case.accuracy) if case.accuracy else None,
        "exact": list(case.exact),
        "rows": rows,
        "claims": [claim.check(rows) for claim in case.claims],
    }


def _run_entries(case, repeats, folder):
    """Give the entries their turns; an entry that fails or is slow has only one."""
    try:
        problems = [_write(problem, folder) for problem in case.make()]
    except (ImportError, FileNotFoundError) as error:
        row = {"operation": "fit", "problem": case.name, "status": "failed"}
        row["message"] = f"no data: {clean(error)}"
        return [row | {"adapter": adapter, "variant": how} for adapter, how in case.entries]
    known = {p["id"]: p for p in problems}
    rows, settled = {}, set()
    # The first round of new processes fills the caches of files and of compiled code.
    for turn in range(-1 if case.cold else 0, case.rounds):
        for entry in case.entries:
            if entry in settled:
                continue
            new, wall = _run_entry(case, entry, problems, repeats, folder)
            if turn < 0 and all(row["status"] == "ok" for row in new):
                continue
            for row in new:
                if case.cold and row["status"] == "ok":
                    row["seconds"] = [wall]
                _compare(row, known[row["problem"]])
                _merge(rows, row)
            if any(_is_final(row) for row in new):
                settled.add(entry)
    order = [p["id"] for p in problems]
    return sorted(rows.values(), key=lambda row: order.index(row["problem"]))


def _run_entry(case, entry, problems, repeats, folder):
    """Run workers until each problem has its rows; return them and the seconds of the last."""
    rows, left, wall = [], problems, 0.0
    while left:
        new, silence, wall = _run_worker(case, entry, left, repeats, folder)
        rows += new
        reported = {row["problem"] for row in new}
        left = [p for p in left if p["id"] not in reported]
        if silence["status"] == "timeout" and new:
            continue  # what did not end began late: it is judged in a process of its own
        judged = left[:1] if silence["status"] == "timeout" else left
        rows += [{"problem": p["id"]} | silence for p in judged]
        left = left[len(judged) :]
    adapter, variant = entry
    return [{"adapter": adapter, "variant": variant, "operation": "fit"} | r for r in rows], wall


def _run_worker(case, entry, problems, repeats, folder):
    """Run one worker; return its rows, what is said of problems without, and its seconds."""
    adapter, variant = entry
    job = folder / f"{adapter}-{variant}.json"
    settings = {
        "adapter": adapter,
        "variant": variant,
        "problems": problems,
        "repeats": repeats,
        "budget": case.budget,
        "warmup_groups": case.warmup_groups,
        "trace": case.trace,
        "cold": case.cold,
        "folder": str(folder),
    }
    job.write_text(json.dumps(settings))
    start = perf_counter()
    command = [sys.executable, "-m", "benchmarks._worker", str(job)]
    out, error, ended = _run(command, ROOT, case.timeout, case.threads)
    wall = perf_counter() - start
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not ended:
        message = f"no result in {case.timeout:.0f} s"
        silence = {"status": "timeout", "message": message, "limit": case.timeout}
    else:
        silence = {"status": "failed", "message": _last_words(error)}
    return rows, silence, wall


def _run_commands(case, repeats, folder):
    """Run the programs in turn; each prints its own seconds."""
    rows = {}
    for _ in range(repeats):
        for label, program in case.commands.items():
            row = {"adapter": label, "variant": "", "operation": "run", "problem": case.name}
            # Away from the repository, so that the installed packages are imported.
            out, error, ended = _run([sys.executable, "-c", program], folder, case.timeout)
            try:
                row |= {"status": "ok", "seconds": [float(out.split()[-1])]}
            except (IndexError, ValueError):
                message = _last_words(error) if ended else f"no result in {case.timeout:.0f} s"
                row |= {"status": "failed" if ended else "timeout", "message": message}
            _merge(rows, row)
    return list(rows.values())


def _last_words(error):
    """Return the line in which a program said why it ended; Rust adds notes after it."""
    lines = [line for line in error.splitlines() if line.strip() and not line.startswith("note:")]
    return clean(lines[-1]) if lines else "no output"


def _run(command, folder, timeout, threads=1):
    """Run a program; stop it and what it started when its time is over."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | held_to(threads),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        return *process.communicate(timeout=timeout), True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return *process.communicate(), False
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _write(problem, folder):
    """Write a problem's data; return its description with file names in their place."""
    spec = dict(problem)
    if "frame" in spec:
        path = folder / f"{spec['id']}.parquet"
        spec["frame"].to_parquet(path, index=False)
        spec["frame"] = str(path)
    if "arrays" in spec:
        path = folder / f"{spec['id']}.npz"
        np.savez(path, **spec["arrays"])
        spec["arrays"] = str(path)
    return spec


def _compare(row, problem):
    """Add how far the objective and the values are from those of the reference."""
    if "reference" in problem:
        row["reference"] = problem["reference"]
        if "objective" in row:
            row["difference"] = row["objective"] - problem["reference"]
    expected = problem.get("expected", {}).get(row["variant"])
    if expected and "values" in row:
        wanted = np.array(expected["values"])
        scale = np.array(expected["scale"])
        found = np.array([np.nan if value is None else value for value in row["values"]])
        if "beta" in row:
            # Packages order the fixed effects differently: the estimates tell which is which.
            distance = np.abs(np.array(row["beta"])[:, None] - problem["beta"])
            found = found[np.argmin(distance, axis=0)]
        error = np.abs(found - wanted) / scale
        row["error"] = float(np.nanmax(error)) if np.isfinite(error).any() else None


def _merge(rows, row):
    """Add a row, or its seconds to the row of an earlier round; a failure stays visible."""
    key = tuple(row[k] for k in ("adapter", "variant", "operation", "problem"))
    known = rows.setdefault(key, row)
    if known is row:
        return
    if known["status"] == row["status"] == "ok":
        known["seconds"] += row["seconds"]
        for size in ("peak_bytes", "growth_bytes", "transient_bytes"):
            if known.get(size) is not None and row.get(size) is not None:
                known[size] = max(known[size], row[size])
    elif row["status"] != "ok":
        rows[key] = row


def _is_final(row):
    """Whether another round would be useless or too slow."""
    return row["status"] != "ok" or min(row["seconds"]) > SLOW
