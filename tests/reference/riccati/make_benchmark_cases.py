"""Make benchmark_cases.json: examples of CAREX and DAREX with solutions that are right.

    python tests/reference/riccati/make_benchmark_cases.py benchmark_cases.json

The inputs come from SLICOT's generators BB01AD and BB02AD (the package ctrlsys). Each solution is
found in 100 digits for the very numbers that are packed: by the sign of the Hamiltonian matrix, or
by the discrete recursion doubled, and proven by its residual and its closed loop. Where there is
a closed form it is written below, and must agree within what the rounding of the inputs can do; so
must what SLICOT gives as exact. Orders above 6 have the closed form alone. Needs ctrlsys and
mpmath, and nothing of this package.

Benner, P., Laub, A. J. and Mehrmann, V. (1995). A collection of benchmark examples for the
numerical solution of algebraic Riccati equations I: continuous-time case (CAREX), II:
discrete-time case (DAREX). Technical reports SPC 95_22 and 95_23, TU Chemnitz-Zwickau.
"""

import json
import sys

import ctrlsys
import mpmath as mp
import numpy as np

mp.mp.dps = 100
ROUNDING = mp.mpf(2) ** -53

# name, group and number, value of the parameter (None: SLICOT's default), order of large ones
CARE = [
    ("carex 1.1", (1, 1), None), ("carex 1.2", (1, 2), None),
    ("carex 2.1", (2, 1), None), ("carex 2.1 easy", (2, 1), 1.0),
    ("carex 2.2", (2, 2), None), ("carex 2.2 easy", (2, 2), 1.0),
    ("carex 2.3", (2, 3), None), ("carex 2.3 easy", (2, 3), 1.0),
    ("carex 2.4", (2, 4), None), ("carex 2.4 easy", (2, 4), 1.0),
    ("carex 2.5", (2, 5), 1.0), ("carex 2.6", (2, 6), None), ("carex 2.6 easy", (2, 6), 1.0),
    ("carex 2.7", (2, 7), None), ("carex 2.8", (2, 8), None), ("carex 3.2", (3, 2), None),
]  # fmt: skip
DARE = [
    ("darex 1.1", (1, 1), None), ("darex 1.3", (1, 3), None), ("darex 1.4", (1, 4), None),
    ("darex 1.9", (1, 9), None), ("darex 2.1", (2, 1), None), ("darex 2.1 easy", (2, 1), 1.0),
    ("darex 2.2", (2, 2), None), ("darex 2.3", (2, 3), None), ("darex 2.3 easy", (2, 3), 1.0),
    ("darex 2.4", (2, 4), None), ("darex 2.4 easy", (2, 4), 1.0), ("darex 2.5", (2, 5), None),
    ("darex 4.1", (4, 1), None),
]  # fmt: skip
REFUSED = ("carex 2.5", "darex 1.1", "darex 1.4")  # Q is indefinite or R singular
CIRCULANT = ("carex 3.2",)  # of which the first columns are packed


# ---------------------------------------------------------------------------------- closed forms


def carex_1_1(A, B, C, Q, R):
    return mp.matrix([[2, 1], [1, 2]])


def carex_1_2(A, B, C, Q, R):
    return (1 + mp.sqrt(2)) * mp.matrix([[9, 6], [6, 4]])


def carex_2_1(A, B, C, Q, R):
    e = B[0, 0]
    root = mp.sqrt(1 + e**2)
    cross = 1 / (2 + root)
    return mp.matrix([[(1 + root) / e**2, cross], [cross, (1 - e**2 * cross**2) / 4]])


def carex_2_3(A, B, C, Q, R):
    e = A[0, 1]
    root = mp.sqrt(1 + 2 * e)
    return mp.matrix([[root / e, 1], [1, root]])


def carex_2_4(A, B, C, Q, R):
    e = A[0, 0] - 1
    first = (2 * (1 + e) + mp.sqrt(2 * (1 + e) ** 2 + 2) + mp.sqrt(2) * e) / 2
    cross = first / (first - (1 + e))
    return mp.matrix([[first, cross], [cross, first]])


def carex_2_5(A, B, C, Q, R):
    return mp.matrix([[2, 1], [1, 1]])


def carex_2_6(A, B, C, Q, R):
    e = R[0, 0]  # A = e V diag(1, 2, 3) V, G = I / e, Q = V diag(1 / e, 1, e) V
    values = [k * e**2 + mp.sqrt(k**2 * e**4 + e ** (k - 1)) for k in (1, 2, 3)]
    return reflected(values)


def carex_3_2(A, B, C, Q, R):
    """Circulant: the scalar equation of each frequency."""
    n = A.rows
    modes = [-2 + 2 * mp.cos(2 * mp.pi * k / n) for k in range(n)]
    values = [a + mp.sqrt(1 + a**2) for a in modes]
    column = [
        mp.fsum(v * mp.cos(2 * mp.pi * j * k / n) for k, v in enumerate(values)) / n
        for j in range(n)
    ]
    return mp.matrix([[column[(i - j) % n] for j in range(n)] for i in range(n)])


def darex_1_1(A, B, C, Q, R):
    return mp.eye(2)


def darex_1_3(A, B, C, Q, R):
    return mp.matrix([[1, 2], [2, 2 + mp.sqrt(5)]])


def darex_1_4(A, B, C, Q, R):
    return mp.diag([100000, 1000, 0])


def darex_2_1(A, B, C, Q, R):
    r = R[0, 0]
    return (1 + mp.sqrt(1 + 4 * r)) / 2 * mp.matrix([[9, 6], [6, 4]])


def darex_2_3(A, B, C, Q, R):
    return mp.diag([1, 1 + A[0, 1] ** 2])


def darex_2_4(A, B, C, Q, R):
    e = R[0, 0]  # A = V diag(0, 1, 3) V, G = I / e, Q = e I
    return reflected([e * (k**2 + mp.sqrt(k**4 + 4)) / 2 for k in (0, 1, 3)])


def darex_2_5(A, B, C, Q, R):
    a, b, r = A[0, 0], B[0, 0], R[0, 0]
    p = r * (a**2 - 1) + b**2  # b^2 x^2 - p x - r = 0
    return mp.diag([(p + mp.sqrt(p**2 + 4 * b**2 * r)) / (2 * b**2), 1, 1, 1])


def darex_4_1(A, B, C, Q, R):
    return mp.diag(list(range(1, A.rows + 1)))


def reflected(values):
    V = mp.eye(3) - mp.ones(3) * mp.mpf(2) / 3
    return V * mp.diag(values) * V


# ----------------------------------------------------------------------- inputs and proven answers


def generated(equation, numbers, parameter):
    """A, B, C, Q, R, S and what SLICOT gives as exact, if anything."""
    numbers = np.array(numbers, dtype=np.int32)
    flag = "D" if parameter is None else "N"
    if equation == "care":
        dpar, ipar = np.zeros(7), np.zeros(4, dtype=np.int32)
        dpar[0] = parameter or 0.0
        factors = np.array([False, True, True, False, True, True])
        vec, n, m, p, A, B, C, R, Q, X, info = ctrlsys.bb01ad(flag, numbers, dpar, ipar, factors)
        S = np.zeros((n, m))
    else:
        dpar, ipar = np.zeros(4), np.zeros(3, dtype=np.int32)
        dpar[0] = parameter or 0.0
        if tuple(numbers) == (4, 1):  # of order 20, not 100
            flag, ipar[0], dpar[0] = "N", 20, 1.0
        factors = np.array([False, True, True, False, True, True, True])
        vec, n, m, p, A, B, C, Q, R, S, X, info = ctrlsys.bb02ad(
            flag, numbers, dpar, ipar, factors
        )
    if info:
        raise SystemExit(f"{equation} {numbers}: SLICOT says {info}")
    corner = A[:n, :n], B[:n, :m], C[:p, :n], Q[:p, :p], R[:m, :m], S[:n, :m]  # of padded arrays
    return *corner, X[:n, :n] if vec[-1] else None


def care_by_sign(A, G, H):
    """Stabilizing solution of A'X + XA - XGX + H = 0, from the sign of the Hamiltonian."""
    n = A.rows
    Z = stacked(A, -G, -H, -A.T)
    for _ in range(300):
        inverse = mp.inverse(Z)
        scale = mp.sqrt(mp.mnorm(inverse, "f") / mp.mnorm(Z, "f"))
        new = (scale * Z + inverse / scale) / 2
        moved, Z = mp.mnorm(new - Z, "f") / mp.mnorm(new, "f"), new
        if moved < mp.mpf(10) ** -80:
            break
    Z += mp.eye(2 * n)  # of which [I; X] is the null space
    left, right = Z[:, n:], Z[:, :n]
    return symmetric(-mp.inverse(left.T * left) * (left.T * right))


def dare_by_doubling(A, G, H):
    """Stabilizing solution of X = A'X (I + GX)^-1 A + H, from the recursion doubled."""
    n = A.rows
    for _ in range(300):
        W = mp.inverse(mp.eye(n) + G * H)
        A, G, new = A * W * A, G + A * W * G * A.T, H + A.T * H * W * A
        moved, H = mp.mnorm(new - H, "f") / mp.mnorm(new, "f"), new
        if moved < mp.mpf(10) ** -80:
            break
    return symmetric(H)


def stacked(a, b, c, d):
    n, M = a.rows, mp.zeros(2 * a.rows)
    M[:n, :n], M[:n, n:], M[n:, :n], M[n:, n:] = a, b, c, d
    return M


def symmetric(X):
    return (X + X.T) / 2


def gap(X, Y):
    return mp.mnorm(X - Y, "f") / mp.mnorm(Y, "f")


def proven(equation, A, G, H, X):
    """Refuse a solution whose residual or closed loop is wrong; the closed loop."""
    if equation == "care":
        loop = A - G * X
        terms = A.T * X, X * A, -X * G * X, H
        edge = max(z.real for z in eigenvalues(loop))
    else:
        middle = mp.inverse(mp.eye(A.rows) + G * X)
        loop = middle * A
        terms = A.T * X * loop, -X, H
        edge = max(abs(z) for z in eigenvalues(loop)) - 1
    residual = mp.mnorm(sum(terms[1:], terms[0]), "f") / max(mp.mnorm(t, "f") for t in terms)
    if residual > mp.mpf(10) ** -60 or edge >= 0:
        raise SystemExit(f"residual {mp.nstr(residual, 3)}, closed loop at {mp.nstr(edge, 5)}")
    return loop


def eigenvalues(M):
    return mp.eig(M, right=False) if M.rows <= 6 else np.linalg.eigvals(doubles(M))


def condition(equation, A, G, H, X, loop):
    """What small changes do to X, relative, to first order and in Frobenius norms.

    Of A, G and H, relative to each (Kenney and Hewer 1990), and of the residual, relative to the
    terms of the equation: no method that goes by a residual does better than the second.

    Kenney, C. and Hewer, G. (1990). The sensitivity of the algebraic and differential Riccati
    equations. SIAM Journal on Control and Optimization 28(1).
    """
    A, G, H, X, loop = map(doubles, (A, G, H, X, loop))
    one = np.eye(len(A))
    if equation == "care":
        beside = between = X
        terms = 2 * np.linalg.norm(A.T @ X), np.linalg.norm(X @ G @ X)
        operator = np.kron(loop.T, one) + np.kron(one, loop.T)
    else:
        beside = between = loop.T @ X
        terms = np.linalg.norm(A.T @ X @ loop), np.linalg.norm(X)
        operator = np.kron(loop.T, loop.T) - np.eye(len(A) ** 2)
    if len(A) > 30:  # a symmetric closed loop
        assert np.array_equal(loop, loop.T)
        own = 0.5 / np.abs(np.linalg.eigvalsh(loop)).min()
        size = np.linalg.norm(X, 2)
        norms = own, own * size, own * size**2
    else:
        exact = len(A) <= 6
        inverse = doubles(mp.inverse(mp.matrix(operator))) if exact else np.linalg.inv(operator)
        of_changes = (one, one), (one, beside), (between, between)
        norms = [np.linalg.norm(inverse @ np.kron(*pair), 2) for pair in of_changes]
    by_data = norms[0] * np.linalg.norm(H) + 2 * norms[1] * np.linalg.norm(A)
    by_data += norms[2] * np.linalg.norm(G)
    by_residual = norms[0] * (sum(terms) + np.linalg.norm(H))
    return [float(value / np.linalg.norm(X)) for value in (by_data, by_residual)]


def doubles(M):
    return np.array(M.tolist(), dtype=float)


CLOSED = {
    "carex 1.1": carex_1_1, "carex 1.2": carex_1_2, "carex 2.1": carex_2_1,
    "carex 2.3": carex_2_3, "carex 2.4": carex_2_4, "carex 2.5": carex_2_5,
    "carex 2.6": carex_2_6, "carex 3.2": carex_3_2, "darex 1.1": darex_1_1,
    "darex 1.3": darex_1_3, "darex 1.4": darex_1_4, "darex 2.1": darex_2_1,
    "darex 2.3": darex_2_3, "darex 2.4": darex_2_4, "darex 2.5": darex_2_5,
    "darex 4.1": darex_4_1,
}  # fmt: skip


def record(equation, name, numbers, parameter):
    *inputs, slicot = generated(equation, numbers, parameter)
    A, B, C, Q, R, S = map(mp.matrix, inputs)
    closed = CLOSED.get(name.removesuffix(" easy"))
    exact = None if closed is None else closed(A, B, C, Q, R)
    sensitivity = [0.0, 0.0]
    if name in REFUSED:
        X = exact
    else:
        inverse = mp.inverse(R)
        G, H = B * inverse * B.T, C.T * Q * C - S * inverse * S.T
        folded = A - B * inverse * S.T
        solve = care_by_sign if equation == "care" else dare_by_doubling
        X = solve(folded, G, H) if A.rows <= 6 else exact
        loop = proven(equation, folded, G, H, X)
        sensitivity = condition(equation, folded, G, H, X, loop)
    for other, other_name in ((exact, "closed form"), (slicot, "SLICOT")):
        if other is not None:
            distance = gap(mp.matrix(other), X)
            print(f"{name}: {other_name} within {mp.nstr(distance, 3)}, "
                  f"condition {sensitivity[0]:.3g}, {sensitivity[1]:.3g}")  # fmt: skip
            if distance > 10 * ROUNDING * max(1.0, sensitivity[0]):
                raise SystemExit(f"{name}: the {other_name} is another matrix")
    found = {
        "name": name, "equation": equation, "parameter": parameter,
        "closed_form": exact is not None, "condition": sensitivity[0],
        "condition_of_residual": sensitivity[1],
    }  # fmt: skip
    packed = dict(zip("ABCQRS", inputs, strict=True)) | {"X": doubles(X)}
    if not packed["S"].any():
        del packed["S"]
    if name in CIRCULANT:
        found["circulant"] = True
        packed = {key: M[:, :1] for key, M in packed.items()}
    return found | {key: M.tolist() for key, M in packed.items()}


def main():
    cases = [record("care", *case) for case in CARE] + [record("dare", *case) for case in DARE]
    lines = ",\n".join(json.dumps(case) for case in cases)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
