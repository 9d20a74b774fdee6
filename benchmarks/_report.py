"""Results as tables: aligned text and Markdown."""

import json
import math

TIMES = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (math.inf, 1.0, "s"))
STOPPED_SHORT = 1e-4
"""An objective further above the best is marked."""
_MODELS = 12
"""Models that a note names at most."""


def text_table(case):
    """Return the tables of a case for a terminal."""
    header, body = _table(case)
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    numeric = [i > 1 for i in range(len(header))]
    lines = ["", f"{case['name']}: {case['title']}{_quick(case)}"]
    for line in [header, *body]:
        cells = [
            cell.rjust(width) if right and len(line) == len(header) else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines + [f"  {note}" for note in _notes(case)])


def markdown(path):
    """Write the tables of a result file as Markdown beside it; return that path."""
    saved = json.loads(path.read_text())
    parts = [f"# Benchmark suite: {saved['suite']}", ""]
    for case in saved["cases"].values():
        header, body = _table(case)
        rule = ["---"] * 2 + ["---:"] * (len(header) - 2)
        parts += [f"## {case['name']}", "", case["title"] + _quick(case), ""]
        parts += ["| " + " | ".join(line) + " |" for line in [header, rule, *body]] + [""]
        parts += [f"- {note}" for note in _notes(case)] + [""]
    target = path.with_suffix(".md")
    target.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return target


def duration(seconds):
    """Return a time with three significant digits in its unit."""
    scale, unit = next((scale, unit) for bound, scale, unit in TIMES if seconds < bound)
    return f"{_digits(seconds * scale)} {unit}"


def _table(case):
    """Return header and lines: a line for each row, or for each model with many problems."""
    if case.get("accuracy"):
        return _by_package(case)
    problems = list(dict.fromkeys(row["problem"] for row in case["rows"]))
    return _by_problem(case, problems) if len(problems) > 1 else _by_row(case)


def _by_row(case):
    """Return the table of times."""
    rows = case["rows"]
    unit, count = case["units"] or (None, 1)
    best = min((r["objective"] for r in rows if "objective" in r), default=None)
    extra = [key for key in ("growth_bytes", "transient_bytes") if any(key in r for r in rows)]
    compared = any("error" in row for row in rows)
    figures = list(dict.fromkeys(name for row in rows for name in row.get("figures", {})))
    header = ["package", "how", f"median a {unit}" if unit else "median", "min - max", "runs"]
    header += ["x lmmfit"]
    if best is not None:
        header += ["objective - best", "peak MB"]
    header += ["error"] * compared + figures + [key.replace("_", " ") for key in extra]
    body = []
    for row in rows:
        line = [package(row), how(row)]
        if row["status"] != "ok":
            line += [_status(row)] + ["-"] * (len(header) - 3)
            body.append(line)
            continue
        seconds = [s / count for s in row["seconds"]]
        line += [duration(row["median"] / count)]
        line += [f"{duration(min(seconds))} - {duration(max(seconds))}", str(len(seconds))]
        base = _baseline(row, rows)
        line += [_digits(row["median"] / base) if base else "-"]
        if best is not None:
            line += [_difference(row["objective"] - best) if "objective" in row else "-"]
            peak = row.get("peak_bytes")
            line += ["-" if peak is None else f"{peak / 1e6:.1f}"]
        if compared:
            line += ["-" if row.get("error") is None else f"{row['error']:.1e}"]
        exact = case.get("exact", ())
        line += [_figure(row.get("figures", {}).get(name), name in exact) for name in figures]
        line += [str(row.get(key, "-")) for key in extra]
        body.append(line)
    return header, body


def _by_package(case):
    """Return the table of right and wrong answers over many models, a line for each package."""
    close, right = case["accuracy"]["close"], case["accuracy"]["right"]
    header = ["package", "how", "models", f"within {close:g}", f"within {right:g}", "wrong"]
    groups = {}
    for row in case["rows"]:
        groups.setdefault((row["adapter"], row["variant"]), {})[row["problem"]] = row
    times = {
        entry: {id: row["median"] for id, row in rows.items() if row["status"] == "ok"}
        for entry, rows in groups.items()
    }
    fitting = [set(own) for own in times.values() if own]
    common = set.intersection(*fitting) if fitting else set()
    ours = next((own for (adapter, _), own in times.items() if adapter == "lmmfit"), {})
    body = []
    for entry, rows in groups.items():
        errors = [_error(case, row) for row in rows.values() if row["status"] == "ok"]
        named = next((r for r in rows.values() if "versions" in r), next(iter(rows.values())))
        counts = [sum(error <= bound for error in errors) for bound in (close, right)]
        line = [package(named), how(named), len(rows), *counts, len(errors) - counts[1]]
        stopped = sum(row["status"] == "timeout" for row in rows.values())
        line += [len(rows) - len(errors) - stopped, stopped]
        own = times[entry]
        if own:
            shared = [id for id in own if id in ours]
            ratio = sum(own[id] for id in shared) / sum(ours[id] for id in shared) if shared else 0
            line += [duration(sum(own[id] for id in common)), duration(sum(own.values()))]
            line += [_digits(ratio) if shared else "-"]
        else:
            line += ["-"] * 3
        body.append([str(cell) for cell in line])
    header += ["refused", "timeout", f"time of {len(common)} all fit", "of what it fits"]
    return [*header, "x lmmfit"], body


def _error(case, row):
    """Return how far a row is from the reference; nothing reported is infinitely far."""
    value = row.get(case["accuracy"]["field"])
    return math.inf if value is None else abs(value)


def _wrong(case):
    """Return a line for each package that gives wrong answers, with the models and how far."""
    found = {}
    for row in case["rows"]:
        if row["status"] == "ok" and _error(case, row) > case["accuracy"]["right"]:
            names = found.setdefault((package(row), row["variant"]), [])
            names.append(f"{row['problem']} {_error(case, row):.1e}")
    return [f"wrong: {name}: {_listed(models)}" for (name, _), models in found.items()]


def _wins_on_models(case):
    """Return a line for each package that needs less time than ours on the models it fits."""
    _, body = _by_package(case)
    ratios = [
        (f"{line[0]} {line[1]}", float(line[-1]))
        for line in body
        if not line[0].startswith("lmmfit") and line[-1] != "-"
    ]
    return [
        f"{name} is FASTER than lmmfit on the models it fits ({_digits(1 / ratio)} times)"
        for name, ratio in ratios
        if ratio < 1
    ]


def _by_problem(case, problems):
    """Return the table of objective differences, a column for each package."""
    entries = list(dict.fromkeys((r["adapter"], r["variant"]) for r in case["rows"]))
    cells = {(r["problem"], r["adapter"], r["variant"]): r for r in case["rows"]}
    names = {(r["adapter"], r["variant"]): package(r) for r in reversed(case["rows"])}
    names |= {(r["adapter"], r["variant"]): package(r) for r in case["rows"] if "versions" in r}
    body = []
    for problem in problems:
        line = [problem, f"{_objective(cells, problem, entries):.6f}"]
        for entry in entries:
            row = cells[problem, *entry]
            line.append(_difference(row["difference"]) if "difference" in row else _status(row))
        body.append(line)
    return ["model", "reference", *(names[entry] for entry in entries)], body


def _objective(cells, problem, entries):
    rows = [cells[problem, *entry] for entry in entries]
    return next((r["reference"] for r in rows if "reference" in r), math.nan)


def _notes(case):
    """Return what the numbers say in words: failures, warnings, wins of rivals, claims."""
    notes = _wrong(case) + _wins_on_models(case) if case.get("accuracy") else []
    notes += _remarks(case["rows"]) + _wins(case["rows"])
    if case["quick"] and case["claims"]:
        notes.append("quick: the bounds below are those of the full sizes")
    for claim in case["claims"]:
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[claim["met"]]
        value, bound = claim["value"], claim["bound"]
        shown = "-" if value is None else _apart(value, bound) + claim["unit"]
        if claim.get("without"):
            verdict += f", without {', '.join(claim['without'])}"
        notes.append(f"claim: {claim['text']}: {shown} ({claim['sign']} {bound:.10g}): {verdict}")
    return notes


def _remarks(rows):
    """Return failures and warnings, the same one on several models in one line."""
    remarks = {}
    for row in rows:
        name = f"{package(row)} {how(row)}".strip()
        found = []
        if row["status"] != "ok":
            found.append(f"{row['status']}: {name}: {row['message']}")
        found += [f"warning: {name}: {warning}" for warning in row.get("warnings", [])[:1]]
        if row.get("converged") is False:
            found.append(f"it did not converge, it says: {name}")
        for remark in found:
            models = remarks.setdefault(remark, [])
            models += [row["problem"]] if _is_one_of_many(row) else []
    return [
        remark + (f" ({_listed(models)})" if models else "") for remark, models in remarks.items()
    ]


def _listed(names):
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _MODELS} more" if len(names) > _MODELS else ""
    return ", ".join(names[:_MODELS]) + more


def _wins(rows):
    """Return a sentence for each rival's row that beats one of ours in the same operation."""
    wins = []
    for row in rows:
        if row["status"] != "ok" or row["adapter"] == "lmmfit" or _is_one_of_many(row):
            continue
        beaten = [
            f"{how(ours) or 'import'} ({_digits(ours['median'] / row['median'])} times)"
            for ours in _same(row, rows)
            if ours["adapter"] == "lmmfit" and row["median"] < ours["median"]
        ]
        if beaten:
            name = f"{package(row)} {how(row)}".strip()
            wins.append(f"{name} is FASTER than lmmfit's {', '.join(beaten)}")
    return wins


def _same(row, rows):
    """Return the rows of an operation; ``fit, prepared`` is another way to do ``fit``."""
    names = (row["operation"], row["operation"].split(", ")[0])
    return [r for r in rows if r["status"] == "ok" and r["operation"] in names]


def _baseline(row, rows):
    """Return the median of lmmfit's first row, of the same operation if it has one."""
    ours = [r for r in rows if r["adapter"] == "lmmfit" and r["status"] == "ok"]
    same = [r for r in ours if r["operation"] == row["operation"]]
    first = (same or ours or [None])[0]
    return first and first["median"]


def package(row):
    """Return the package of a row, with its version where it is known."""
    name, version = next(iter(row.get("versions", {}).items()), (row["adapter"], ""))
    return f"{name} {version}".strip()


def how(row):
    """Return its own note, or the variant, or the operation where that is no whole fit."""
    if row.get("how"):
        part = row.get("share", 1.0)
        return row["how"] + (f" (1/{round(1 / part)} of it measured)" if part < 1.0 else "")
    if row["operation"] in ("fit", "run"):
        return row["variant"]
    return row["operation"]


def _status(row):
    """Return what became of a row without a time."""
    return f"> {row['limit']:.0f} s" if "limit" in row else row["status"]


def _is_one_of_many(row):
    """Whether a row belongs to a table over many models."""
    return "reference" in row


def _difference(value):
    """Return a difference of objectives; one that matters is marked."""
    mark = "  (!)" if value > STOPPED_SHORT else ""
    return f"{value:.1e}{mark}"


def _digits(value):
    """Return three significant digits without an exponent, where that is readable."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}" if decimals < 6 else f"{value:.1e}"


def _apart(value, bound):
    """Return three significant digits, or as many as tell a number from its bound."""
    for digits in range(4, 11):
        text = _digits(value) if digits == 4 else f"{value:.{digits}g}"
        if abs(float(text) - value) <= 0.1 * abs(value - bound):
            break
    return text


def _figure(value, exact=False):
    """Return a number as it is shown: counts in full, others with three digits, or ten."""
    if value is None:
        return "-"
    if exact:
        return f"{value:.10g}"
    return str(value) if isinstance(value, int) else _digits(value)


def _quick(case):
    return "  [quick: small sizes]" if case["quick"] else ""
