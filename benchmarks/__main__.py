"""Run a suite, print its tables, and save its numbers: ``python -m benchmarks SUITE``."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks import SUITES
from benchmarks._report import markdown, text_table
from benchmarks._results import save
from benchmarks._runner import run_case

RESULTS = Path(__file__).parent / "results"


def parse(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES, help="what to measure")
    parser.add_argument("--quick", action="store_true", help="small sizes, under two minutes")
    parser.add_argument("--only", action="append", metavar="CASE", help="run only this case")
    parser.add_argument("--repeats", type=int, metavar="N", help="timed runs in each process")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="DIR", help="where the results are saved"
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the suite named on the command line, case by case."""
    options = parse(arguments)
    if options.suite is None:
        print("python -m benchmarks SUITE, where SUITE is one of")
        for name, description in SUITES.items():
            print(f"  {name:<12} {description}")
        return 0
    cases = import_module(f"benchmarks.{options.suite}").cases(options.quick)
    if options.only:
        unknown = set(options.only) - {case.name for case in cases}
        if unknown:
            known = ", ".join(case.name for case in cases)
            print(f"no case {', '.join(sorted(unknown))} in this suite; it has {known}")
            return 2
        cases = [case for case in cases if case.name in options.only]
    results = {}
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        results[case.name] = run_case(case, repeats=options.repeats, quick=options.quick)
        print(text_table(results[case.name]), flush=True)
        path = save(options.suite, results, options.output, quick=options.quick)
    print(f"saved: {path.name}, {markdown(path).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
