"""R's lme4, in a process of its own: see ``lme4.R``."""

import csv
import json
import subprocess
from pathlib import Path
from shutil import which

SCRIPT = Path(__file__).with_name("lme4.R")
COLUMNS = ("id", "csv", "formula", "reml", "weights", "offset", "theta", "group")
COLUMNS += ("resamples", "responses", "all_responses")


def measure(problems, variant, job):
    """Hand the problems to R as CSV files and a table; yield the rows that it prints."""
    if which("Rscript") is None:
        for problem in problems:
            yield {"problem": problem.id, "status": "not installed", "message": "no Rscript"}
        return
    folder = Path(job["folder"])
    table = folder / f"lme4-{variant}.tsv"
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t")
        writer.writeheader()
        for problem in problems:
            theta = problem.arrays["theta"] if variant == "evaluation" else []
            many = problem.arrays["Y"].shape[1] if variant == "many" else ""
            writer.writerow(
                {
                    "id": problem.id,
                    "csv": _as_csv(problem.path),
                    "formula": problem.formula,
                    "reml": int(problem.reml),
                    "weights": problem.weights or "",
                    "offset": problem.offset or "",
                    "theta": ";".join(",".join(map(repr, map(float, point))) for point in theta),
                    "group": problem.group,
                    "resamples": problem.spec.get("resamples", ""),
                    "responses": problem.spec.get("responses", ""),
                    "all_responses": many,
                }
            )
    settings = [job["repeats"], job["budget"], job["warmup_groups"] or 0]
    command = ["Rscript", "--vanilla", str(SCRIPT), str(table), variant, *map(str, settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)
    process.wait()


def _as_csv(path):
    """Write a Parquet file as CSV, once, with every digit."""
    target = path.with_suffix(".csv")
    if not target.exists():
        import pyarrow as pa
        import pyarrow.parquet as pq
        from pyarrow.csv import write_csv

        table = pq.read_table(path)
        for i, column in enumerate(table.columns):
            if pa.types.is_dictionary(column.type):
                table = table.set_column(i, table.column_names[i], column.cast(pa.string()))
        write_csv(table, target)
    return target
