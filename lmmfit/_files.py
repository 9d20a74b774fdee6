"""Files of the command line: tables in, tables and pictures out, never half-written."""

import contextlib
import os
import sys
import warnings
import zlib
from pathlib import Path

__all__ = [
    "SUFFIXES",
    "UserError",
    "check_target",
    "make_folder",
    "notes_on_stderr",
    "one_line",
    "read_table",
    "replacing",
    "suffix_of",
    "write_table",
]

SUFFIXES = (".csv", ".csv.gz", ".parquet")


class UserError(Exception):
    """Something that the user can put right: one line, no traceback."""


def one_line(error):
    """Give the message of an exception in one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def notes_on_stderr():
    """Show the warnings raised inside as lines ``note: ...`` on standard error, each once."""
    shown = set()

    def show(message, *_, **__):
        text = one_line(message)
        if text not in shown:
            shown.add(text)
            print(f"note: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # Meant for the authors of libraries; Python hides these by default too.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.showwarning = show  # put back by catch_warnings
        yield


def suffix_of(path):
    """Suffix of a table's file name, or a UserError that names the known ones."""
    for suffix in SUFFIXES:
        if Path(path).name.lower().endswith(suffix):
            return suffix
    raise UserError(f"{str(path)!r} has no known format: the name must end in "
                    f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")  # fmt: skip


def read_table(path, text=()):
    """Read a table.

    Parameters
    ----------
    path : str
    text : sequence of str, optional
        Columns to be read as text, whatever they look like.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    UserError
        If it cannot be read.
    """
    suffix = suffix_of(path)
    pandas = _pandas()
    if not os.path.isfile(path):
        what = "is a folder, no file" if os.path.isdir(path) else "does not exist"
        raise UserError(f"{path!r} {what}.")
    try:
        if suffix == ".parquet":
            return pandas.read_parquet(path).astype(dict.fromkeys(text, "str"))
        return pandas.read_csv(path, dtype=dict.fromkeys(text, "str"), low_memory=False)
    except ImportError as error:
        raise UserError("parquet files need pyarrow: pip install 'lmmfit[parquet]'.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"cannot read {path!r}: {one_line(error)}") from error


def write_table(frame, path):
    """Write a table in the format of its suffix, or as csv to standard output (path None)."""
    if path is None:
        frame.to_csv(sys.stdout, index=False)
        return
    suffix = suffix_of(path)
    with replacing(path) as stream:
        if suffix == ".parquet":
            try:
                frame.to_parquet(stream, index=False)
            except ImportError as error:
                raise UserError(
                    "parquet files need pyarrow: pip install 'lmmfit[parquet]'."
                ) from error
        else:
            frame.to_csv(stream, index=False, compression="gzip" if suffix == ".csv.gz" else None)


def check_target(path):
    """Refuse an output file that could not be written, before any work is done."""
    suffix_of(path)
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise UserError(f"{path!r} is no regular file: nothing can be written there.")
    if not target.parent.is_dir():
        raise UserError(f"the folder of {path!r} does not exist: make it first.")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"the folder of {path!r} is not writable.")


def make_folder(path):
    """Make a folder for output, or a UserError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {str(path)!r}: {error.strerror}.") from error
    if not os.access(path, os.W_OK):
        raise UserError(f"the folder {str(path)!r} is not writable.")
    return Path(path)


@contextlib.contextmanager
def replacing(path):
    """Open a binary file that takes the place of ``path`` once it is complete."""
    target = Path(path).resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as stream:
            yield stream
        os.replace(partial, target)
    except OSError as error:
        raise UserError(f"cannot write {str(path)!r}: {one_line(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def _pandas():
    try:
        import pandas
    except ImportError as error:
        raise UserError("reading tables needs pandas: pip install 'lmmfit[demo]'.") from error
    return pandas
