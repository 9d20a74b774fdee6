"""The result file of a suite: JSON, a line for each measurement."""

import json


def save(suite, cases, folder, *, quick):
    """Write results as JSON, keeping cases of an earlier run that were not run now."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}{'-quick' if quick else ''}.json"
    known = json.loads(path.read_text())["cases"] if path.exists() else {}
    cases = known | {name: _rounded(case) for name, case in cases.items()}
    document = _lines({"suite": suite, "cases": cases}, depth=4)
    path.write_text(document + "\n", encoding="utf-8")
    return path


def _rounded(value):
    """Return the same data with times to four digits; the rest stays exact."""
    if isinstance(value, dict):
        return {
            key: [float(f"{s:.4g}") for s in item] if key == "seconds" else _rounded(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def _lines(value, depth, indent=""):
    """Return JSON with a line for each item, and for what lies deeper one line."""
    if not value or depth == 0 or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    inner = indent + " "
    items = [
        inner + ("" if key is None else f"{json.dumps(key)}: ") + _lines(item, depth - 1, inner)
        for key, item in pairs
    ]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return f"{left}\n" + ",\n".join(items) + f"\n{indent}{right}"
