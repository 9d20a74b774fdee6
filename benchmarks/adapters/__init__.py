"""One module a rival; what such a module has is described in ``benchmarks._worker``."""
