"""Put the tables that ``python -m benchmarks`` wrote into the page about benchmarks."""

import re
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
NONE_YET = (
    "No results are stored in this copy of the repository: run the command above to make them."
)


def insert_results(app, docname, source):
    """Replace ``.. results: NAME`` by the tables of ``benchmarks/results/NAME.md``."""
    if docname == "benchmarks":
        source[0] = re.sub(r"^\.\. results: (\w+)$", _tables, source[0], flags=re.MULTILINE)


def _tables(match):
    path = RESULTS / f"{match[1]}.md"
    return to_rst(path.read_text(encoding="utf-8")) if path.exists() else NONE_YET


def to_rst(markdown):
    """Translate headings, paragraphs, lists and tables; that is all the reports use."""
    lines, table = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split(" | ")])
            continue
        if table:
            lines += _list_table(table)
            table = []
        if line.startswith("# "):
            continue  # the page has its own title
        if line.startswith("## "):
            heading = _escape(line[3:])
            lines += ["", heading, "~" * len(heading), ""]
        elif line.startswith("- "):
            lines.append(f"* {_escape(line[2:])}")
        else:
            lines.append(_escape(line))
    return "\n".join(lines)


def _list_table(rows):
    body = [row for row in rows if not set("".join(row)) <= set("-: ")]
    lines = ["", ".. list-table::", "   :header-rows: 1", "   :class: benchmark", ""]
    for row in body:
        lines += [f"   {'*' if j == 0 else ' '} - {_escape(cell)}" for j, cell in enumerate(row)]
    return [*lines, ""]


def _escape(text):
    return re.sub(r"([\\*`|_]|^-$)", r"\\\1", text)
