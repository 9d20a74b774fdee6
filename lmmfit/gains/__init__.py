"""Filters and regulators whose gains have a prescribed sparsity pattern."""

from lmmfit._lazy import lazy_names

_HOMES = {
    "centralized": ("centralized_gain",),
    "definite": ("DefiniteSolver",),
    "densities": ("error_density",),
    "equation": ("solve_sparse_equation",),
    "equation_solution": ("SingularEquationError", "SparseSolution"),
    "errors": ("GainError", "UnstableGainError"),
    "finite_horizon": ("finite_horizon_gain", "finite_horizon_regulator"),
    "fixed_gain": ("GainFilter", "constant_gain_filter"),
    "gain_sequence": ("GainSequence",),
    "gain_series": ("GainSeries", "GainState", "filter_with_gain"),
    "gain_solution": ("GainSolution",),
    "moving_horizon": ("filter_moving_horizon", "moving_horizon_gain"),
    "network_node": ("Node",),
    "network_plan": ("NetworkPlan", "plan_network"),
    "network_run": ("NetworkRun", "simulate_network"),
    "one_step": ("one_step_gain", "one_step_regulator"),
    "oracle": ("kronecker_solution",),
    "pattern": ("Pattern", "as_pattern", "graph_pattern"),
    "problem": ("GainProblem", "filter_problem", "regulator_problem"),
    "products": ("spectral_radius",),
    "smith": ("solve_stein",),
    "steady": ("steady_gain", "steady_regulator"),
    "steady_objective": ("SteadyObjective",),
    "tank_equilibria": ("OperatingPoint", "equilibrium_inputs", "equilibrium_levels"),
    "tank_model": ("TankNetwork", "tank_network"),
    "tank_simulation": ("TankRun", "simulate_tanks"),
    "tanks": ("TankConstants", "tank_constants", "tank_rates"),
    "time_varying": ("time_varying_filter", "time_varying_regulator"),
    "varying_gains": ("filter_with_gains",),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
