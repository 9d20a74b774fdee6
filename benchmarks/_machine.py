"""The machine and the software of a run, without names that identify a computer."""

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIMITS = (
    *(f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")),
    *(f"{library}_NUM_THREADS" for library in ("VECLIB_MAXIMUM", "NUMBA", "RAYON")),
    "POLARS_MAX_THREADS",
)


def held_to(threads):
    """Return the environment that holds every library to so many threads."""
    return dict.fromkeys(_LIMITS, str(threads))


def describe(threads=1):
    """Return processor, memory, system, interpreter and library versions as a dict."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "python": platform.python_version(),
        **versions("numpy", "scipy", "numba", "pandas"),
    }


def versions(*distributions):
    """Return distribution -> installed version, leaving out what is not installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory():
    """Return the largest resident size of this process since `reset_peak`, in bytes, or None."""
    return _status("VmHWM")


def reset_peak():
    """Make the present resident size the peak; return it in bytes, or None."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(field):
    """Read a size from the kernel's account of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory():
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None
