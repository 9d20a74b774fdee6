"""A progress bar of one line, on the standard error stream, for work that takes long."""

import sys
import time
from contextlib import contextmanager
from threading import Lock

__all__ = ["progress_bar"]

_WIDTH, _SECONDS = 40, 0.1


@contextmanager
def progress_bar(total, what, show=True):
    """Show how much of some work is done.

    Parameters
    ----------
    total : int
        Pieces of work.
    what : str
    show : bool, default=True

    Yields
    ------
    callable or None
        ``tick(n)`` says that n more pieces are done, from any thread; None without ``show``.

    Examples
    --------
    >>> from lmmfit.mixed.progress import progress_bar
    >>> with progress_bar(10, "work", show=False) as tick:
    ...     print(tick)
    None
    """
    if not show:
        yield None
        return
    done, begun, shown, lock = 0, time.perf_counter(), 0.0, Lock()

    def tick(n):
        nonlocal done, shown
        with lock:
            done += n
            now = time.perf_counter()
            if now - shown >= _SECONDS or done >= total:
                shown = now
                _draw(done, total, what, now - begun)

    try:
        _draw(0, total, what, 0.0)
        yield tick
    finally:
        print(file=sys.stderr)


def _draw(done, total, what, seconds):
    filled = _WIDTH * done // max(total, 1)
    left = seconds * (total - done) / done if done else 0.0
    bar = "#" * filled + "." * (_WIDTH - filled)
    print(f"\r{what} [{bar}] {done}/{total}, {left:.0f} s left ", end="", file=sys.stderr)
    sys.stderr.flush()
