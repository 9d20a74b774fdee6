"""The command line: ``python -m lmmfit`` is a demonstration, ``fit`` fits a model to a file."""

import argparse
import os
import sys

from lmmfit._version import __version__

__all__ = ["main"]

_EXAMPLES = """\
examples:
  python -m lmmfit
  python -m lmmfit fit "Reaction ~ Days + (Days | Subject)" sleepstudy.csv.gz
  python -m lmmfit fit "y ~ x * z + (x || g)" data.parquet --ml --plot pictures
  python -m lmmfit fit "y ~ x + (x | g)" old.csv --predict new.csv --output out.csv
"""


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 2 where the input was at fault.

    Examples
    --------
    >>> from lmmfit.__main__ import main
    >>> main(["fit", "y ~ x", "nowhere.csv"])
    2
    """
    arguments = _parser().parse_args(argv)
    from lmmfit._files import UserError

    try:
        if arguments.command == "fit":
            from lmmfit._command import run_fit

            run_fit(arguments)
        else:
            from lmmfit._demo import run_demo

            run_demo(arguments.folder)
        sys.stdout.flush()
    except UserError as error:
        print(f"lmmfit: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `lmmfit | head` closed our output: no fault, nothing to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="lmmfit",
        description="Linear mixed models. Without a command: a demonstration on the sleepstudy "
        "data, compared with statsmodels.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmmfit {__version__}")
    parser.add_argument(
        "--output", dest="folder", metavar="DIR", default="lmmfit-demo",
        help="folder for the pictures of the demonstration (default: %(default)s)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="{fit}")
    fit = commands.add_parser(
        "fit",
        help="fit a model to a file and print its summary",
        description="Fit a linear mixed model to a file and print its summary.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    fit.add_argument("formula", help="such as 'y ~ x + (x | g)', in the grammar of lme4")
    fit.add_argument("data", help="the table: .csv, .csv.gz or .parquet")
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument(
        "--weights", metavar="COLUMN", help="column of inverse relative residual variances"
    )
    fit.add_argument(
        "--predict", metavar="FILE",
        help="predict the rows of this table: adds the columns prediction and std (that of a "
        "new observation); rows of unknown groups get the population's prediction",
    )  # fmt: skip
    fit.add_argument(
        "--output", metavar="FILE",
        help="where the predictions go, by suffix .csv, .csv.gz or .parquet; by default to "
        "standard output as csv, and the summary to standard error",
    )  # fmt: skip
    fit.add_argument("--plot", metavar="DIR", help="save three pictures of the fit in this folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
