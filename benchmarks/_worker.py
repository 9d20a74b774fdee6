"""One measurement in its own process: ``python -m benchmarks._worker JOB.json``.

Prints one JSON line for each operation of each problem. An adapter is a module with

``DISTRIBUTIONS``
    the distributions whose versions are reported, the package itself first;
``VARIANTS``
    name -> function of a `Problem` that returns the operation to time: a callable without
    arguments, or a dict of them, which are timed in turn. What the function does itself
    (reading the input, say) is not timed. An `Operation` is a callable with a note. One that
    returns a dict says what is reported, such as ``values`` to be compared with a reference,
    ``figures`` (name -> number, each a column of the table), or, of a case without repeats,
    ``seconds`` of its parts and a ``status`` other than ``ok`` with its ``message``;
``describe(result)``
    ``objective`` (minus twice the log-likelihood, or lme4's REML criterion), ``beta`` and
    ``converged`` of what an operation returned.

An adapter of a program rather than a package has ``measure(problems, variant, job)``
instead, an iterator of the rows to print.
"""

import gc
import json
import os
import re
import sys
import tracemalloc
import warnings
from importlib import import_module
from itertools import repeat
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter

from benchmarks._case import Operation, Problem, Unsupported
from benchmarks._machine import peak_memory, reset_peak, versions

SAMPLE_SECONDS = 0.01
"""Operations quicker than this are called in a loop, whose mean is one sample."""


def main(path):
    """Measure every problem of a job."""
    job = json.loads(Path(path).read_text())
    # Standard output carries the results: what a package prints goes elsewhere.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for row in rows(job):
        print(json.dumps(row), file=out, flush=True)


def rows(job):
    """Yield the rows of a job; a failure is a row too."""
    problems = [Problem(spec) for spec in job["problems"]]
    name, variant = job["adapter"], job["variant"]
    try:
        adapter = import_module(f"benchmarks.adapters.{name}")
    except ModuleNotFoundError as error:
        missing = error.name == name
        status = "not installed" if missing else "failed"
        yield from ({"problem": p.id, "status": status, "message": clean(error)} for p in problems)
        return
    except Exception as error:
        yield from (
            {"problem": p.id, "status": "failed", "message": clean(error)} for p in problems
        )
        return
    if hasattr(adapter, "measure"):
        yield from adapter.measure(problems, variant, job)
        return
    for problem in problems:
        try:
            for row in measure(adapter, variant, problem, job):
                yield {"problem": problem.id, "status": "ok"} | row
        except Unsupported as error:
            yield {"problem": problem.id, "status": "unsupported", "message": clean(str(error))}
        except Exception as error:
            yield {"problem": problem.id, "status": "failed", "message": clean(error)}


def measure(adapter, variant, problem, job):
    """Warm up, run once for memory and result, then time; return a row for each operation."""
    prepare = adapter.VARIANTS[variant]
    stamp = {"versions": versions(*adapter.DISTRIBUTIONS)}
    once = job["cold"] or job["repeats"] == 0
    if not once:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warmup = problem.small(job["warmup_groups"]) if job["warmup_groups"] else problem
            for operation in _named(prepare(warmup)).values():
                operation()
    operations = _named(prepare(problem))
    records, calls = {}, {}
    for label, operation in operations.items():
        gc.collect()
        resident = reset_peak()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            first, result = _time(operation)
        # In a cold process the peak would be that of the imports.
        peak = peak_memory() - resident if resident and not job["cold"] else None
        records[label] = {
            "operation": label,
            "seconds": [first],
            "peak_bytes": peak,
            "warnings": sorted({clean(w.message) for w in caught})[:3],
            **stamp,
            **_described(adapter, operation, result),
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not once and sum(r["seconds"][0] for r in records.values()) < job["budget"]:
            for label, operation in operations.items():
                slow = records[label]["seconds"][0] > 20 * SAMPLE_SECONDS
                calls[label] = 1 if slow else _calls(operation)
            for label, seconds in _samples(operations, calls, job).items():
                records[label]["seconds"] = seconds
        for label, operation in operations.items():
            if isinstance(operation, Operation):
                records[label] |= {"how": operation.how, "share": operation.share}
                seconds = records[label]["seconds"]
                records[label]["seconds"] = [s / operation.share for s in seconds]
        if job["trace"]:
            for label, operation in operations.items():
                records[label] |= _traced(operation)
    return list(records.values())


def clean(message):
    """Shorten a message and take file paths out of it."""
    if isinstance(message, BaseException):
        message = f"{type(message).__name__}: {message}"
    text = " ".join(re.sub(r"(/[\w.+~-]+){2,}/?", "<path>", str(message)).split())
    return text if len(text) <= 200 else text[:197] + "..."


def _samples(operations, calls, job):
    """Time the operations in turn until the repeats or the budget are used up."""
    samples = {label: [] for label in operations}
    start = perf_counter()
    for _ in range(job["repeats"]):
        for label, operation in operations.items():
            gc.collect()
            samples[label].append(_time(operation, calls[label])[0])
        if perf_counter() - start > job["budget"]:
            break
    return samples


def _time(operation, calls=1):
    """Return mean seconds of a call, and what the last one returned."""
    result = None
    start = perf_counter()
    for _ in repeat(None, calls):
        result = operation()
    return (perf_counter() - start) / calls, result


def _calls(operation):
    """Return how many calls make a sample long enough for the clock."""
    calls = 1
    while (seconds := _time(operation, calls)[0]) * calls < SAMPLE_SECONDS / 2:
        calls = min(10 * calls, max(calls + 1, ceil(SAMPLE_SECONDS / max(seconds, 1e-9))))
    return calls


def _traced(operation, calls=1000):
    """Return the memory that Python and NumPy hold after many calls more than before."""
    tracemalloc.start()
    for _ in repeat(None, 10):
        operation()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in repeat(None, calls):
        operation()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"growth_bytes": after - before, "transient_bytes": peak - before}


def _named(operations):
    return operations if isinstance(operations, dict) else {"fit": operations}


def _described(adapter, operation, result):
    """Return the objective and the estimates in plain JSON types."""
    if getattr(operation, "report", None):
        result = operation.report(result)
    if result is None:
        return {}
    if isinstance(result, float | dict):
        described = {"objective": result} if isinstance(result, float) else dict(result)
    else:
        described = dict(adapter.describe(result))
    if "objective" in described:
        described["objective"] = float(described["objective"])
        if not isfinite(described["objective"]):
            raise ValueError(f"the objective is {described['objective']}")
    for name in ("beta", "values"):
        if name in described:
            numbers = [float(value) for value in described[name]]
            described[name] = [value if isfinite(value) else None for value in numbers]
    if "converged" in described:
        described["converged"] = bool(described["converged"])
    return described


if __name__ == "__main__":
    main(sys.argv[1])
