"""Passes through a layered network, for a block of patterns each.

``units`` and its like hold a row of numbers for each unit layer after layer: those of one layer
are n x n_out, row by row, for all n patterns; a block is a slice of rows. What a pass adds up over
patterns goes to the end of its argument list. Matrix products are BLAS's; everything between two
of them is one loop.
"""

import numpy as np

from lmmfit._jit import njit

__all__ = [
    "add_bias",
    "back_propagate",
    "multiply",
    "output_errors",
    "robust_value",
    "root_rows",
    "softmax_errors",
    "softmax_shift",
    "softmax_value",
]


@njit
def add_bias(z, bias):
    """Add a number to each column."""
    rows, columns = z.shape
    for i in range(rows):
        for j in range(columns):
            z[i, j] += bias[j]


@njit
def softmax_shift(z, target, linear):
    """Take its maximum from each row, and keep what remains times the targets."""
    rows, columns = z.shape
    for i in range(rows):
        top = z[i, 0]
        for j in range(1, columns):
            top = max(top, z[i, j])
        total = 0.0
        for j in range(columns):
            z[i, j] -= top
            total += target[i, j] * z[i, j]
        linear[i] = total


@njit
def softmax_value(z, target, weight, linear):
    """Divide each row, exp of what was shifted, by its sum; return the weighted log loss."""
    rows, columns = z.shape
    value = 0.0
    for i in range(rows):
        total = z[i, 0]
        share = target[i, 0]
        for j in range(1, columns):
            total += z[i, j]
            share += target[i, j]
        for j in range(columns):
            z[i, j] /= total
        value += weight[i] * (share * np.log(np.float64(total)) - linear[i])
    return value


@njit(fastmath=True)
def robust_value(y, target, weight, robust):
    """Weighted half square, or Huber's loss if its threshold is above 0."""
    rows, columns = y.shape
    zero = y.dtype.type(0)
    value = 0.0
    for i in range(rows):
        part = zero
        for j in range(columns):
            error = y[i, j] - target[i, j]
            if robust > zero and abs(error) > robust:
                part += robust * (abs(error) + abs(error) - robust)
            else:
                part += error * error
        value += weight[i] * part
    return 0.5 * value


@njit(fastmath=True)
def output_errors(kind, robust, y, slope, bend, target, weight, delta, exact, gauss, first, last):
    """Errors and curvatures at output units that do not depend on one another.

    ``robust`` is the threshold of Huber's loss, 0 for the half square, negative where the loss
    matches the activation (Poisson with exp, binary log loss with logistic): the derivative of
    the error by the unit's input is then ``y - target`` and its curvature the slope.
    """
    n_out = y.shape[1]
    zero = y.dtype.type(0)  # constants of the arrays' own precision keep the loops in it
    unity = y.dtype.type(1)
    for i in range(first, last):
        w = weight[i]
        for j in range(n_out):
            out = y[i, j]
            s = unity
            t = zero
            if kind == 1:
                s = unity - out * out
                t = -(out + out) * s
            elif kind == 2:
                s = out * (unity - out)
                t = (unity - out - out) * s
            elif kind == 3:
                s = unity if out > zero else zero
            elif kind == 4:
                s = slope[i, j]
                t = s * (unity - s)
            elif kind == 5:
                s = slope[i, j]
                t = bend[i, j]
            elif kind == 6:
                s = out
                t = out
            slope[i, j] = s
            error = out - target[i, j]
            if robust < zero:
                delta[i, j] = w * error
                exact[i, j] = w * s
                gauss[i, j] = w * s
            else:
                inside = unity
                if robust > zero and (error > robust or error < -robust):
                    error = robust if error > zero else -robust
                    inside = zero
                delta[i, j] = w * error * s
                gauss[i, j] = w * inside * s * s
                exact[i, j] = w * (inside * s * s + error * t)


@njit(fastmath=True)
def softmax_errors(y, target, weight, delta, exact, first, last):
    """Errors of log loss by the inputs of softmax units; ``exact`` gets weight x probability."""
    n_out = y.shape[1]
    for i in range(first, last):
        total = target[i, 0]
        for j in range(1, n_out):
            total += target[i, j]
        w = weight[i]
        for j in range(n_out):
            delta[i, j] = w * (total * y[i, j] - target[i, j])
            exact[i, j] = w * total * y[i, j]


@njit(fastmath=True)
def _inputs_of(layer, sizes, unit, x, units, n, first, last):
    """Outputs of the layer below, whose last unit is number ``unit``; the patterns at the end."""
    n_in = sizes[layer]
    if layer == 0:
        return x[first * n_in : last * n_in].reshape(last - first, n_in)
    at = n * (unit - n_in)
    return units[at + first * n_in : at + last * n_in].reshape(last - first, n_in)


@njit(fastmath=True)
def _add(values, total):
    """Add as many values as there are totals."""
    for k in range(len(total)):
        total[k] += values[k]


@njit(fastmath=True)
def back_propagate(theta, sizes, kinds, x, units, slope, bend, delta, n, first, last, work, total):
    """Back-propagate the errors of the output units (seed equation 7).

    Fills ``slope`` (the activations' first derivative), ``bend`` (their second derivative times
    the unscaled back-propagated error) and ``delta`` (the errors by the units' inputs), and adds
    the gradient.
    """
    rows = last - first
    layers = len(sizes) - 1
    unity = theta.dtype.type(1)
    base = len(theta)
    unit = 0
    for layer in range(1, layers):
        unit += sizes[layer]
    unit *= n
    for layer in range(layers - 1, -1, -1):
        n_in = sizes[layer]
        n_out = sizes[layer + 1]
        size = n_in * n_out
        base -= size + n_out
        d = delta[unit + first * n_out : unit + last * n_out].reshape(rows, n_out)
        below = unit - n * n_in
        a = _inputs_of(layer, sizes, unit // n, x, units, n, first, last)
        part = work[:size]
        np.dot(a.T, d, part.reshape(n_in, n_out))
        _add(part, total[base : base + size])
        bias = total[base + size : base + size + n_out]
        for i in range(rows):
            for j in range(n_out):
                bias[j] += d[i, j]
        if layer > 0:
            weights = theta[base : base + size].reshape(n_in, n_out)
            start = below + first * n_in
            stop = below + last * n_in
            up = work[size : size + rows * n_in]
            np.dot(d, weights.T, up.reshape(rows, n_in))
            y = units[start:stop]
            s = slope[start:stop]
            t = bend[start:stop]
            e = delta[start:stop]
            kind = kinds[layer - 1]
            if kind == 1:
                for k in range(rows * n_in):
                    si = unity - y[k] * y[k]
                    s[k] = si
                    e[k] = si * up[k]
                    t[k] = -(y[k] + y[k]) * e[k]
            elif kind == 2:
                for k in range(rows * n_in):
                    si = y[k] * (unity - y[k])
                    s[k] = si
                    e[k] = si * up[k]
                    t[k] = (unity - y[k] - y[k]) * e[k]
            elif kind == 3:
                for k in range(rows * n_in):
                    on = y[k] > 0
                    s[k] = on
                    e[k] = up[k] if on else 0.0
                    t[k] = 0.0
            elif kind == 4:
                for k in range(rows * n_in):
                    e[k] = s[k] * up[k]
                    t[k] = (unity - s[k]) * e[k]
            elif kind == 5:
                for k in range(rows * n_in):
                    e[k] = s[k] * up[k]
                    t[k] = t[k] * up[k]
            else:
                for k in range(rows * n_in):
                    s[k] = 1.0
                    e[k] = up[k]
                    t[k] = 0.0
        unit = below


@njit(fastmath=True)
def _times(rows, m, width, factor, values, out):
    """Multiply the m vectors of each pattern by the pattern's factors, one a unit."""
    if m == 1:
        for k in range(rows * width):
            out[k] = factor[k] * values[k]
        return
    for i in range(rows):
        for c in range(m):
            start = (i * m + c) * width
            for j in range(width):
                out[start + j] = factor[i * width + j] * values[start + j]


@njit(fastmath=True)
def _forward(theta, sizes, x, units, slope, n, first, last, m, wide, r_in, r_out, one, two):
    """R{x} = W'R{y} + V'y and R{y} = slope R{x} layer by layer; the last R{x} into ``one``."""
    rows = last - first
    block = rows * m
    layers = len(sizes) - 1
    base = 0
    unit = 0  # of the layer below, in units
    for layer in range(layers):
        n_in = sizes[layer]
        n_out = sizes[layer + 1]
        size = n_in * n_out
        a = _inputs_of(layer, sizes, unit, x, units, n, first, last)
        v = wide[m * base : m * (base + size)].reshape(n_in, m * n_out)
        z = one[: block * n_out]
        np.dot(a, v, z.reshape(rows, m * n_out))
        add_bias(z.reshape(rows, m * n_out), wide[m * (base + size) : m * (base + size + n_out)])
        if layer > 0:
            below = r_out[block * (unit - n_in) : block * unit].reshape(block, n_in)
            weights = theta[base : base + size].reshape(n_in, n_out)
            np.dot(below, weights, two[: block * n_out].reshape(block, n_out))
            for k in range(block * n_out):
                z[k] += two[k]
        if layer < layers - 1:
            s = slope[n * unit + first * n_out : n * unit + last * n_out]
            rx = r_in[block * unit : block * (unit + n_out)]
            for k in range(block * n_out):
                rx[k] = z[k]
            _times(rows, m, n_out, s, z, r_out[block * unit : block * (unit + n_out)])
        base += size + n_out
        unit += n_out


@njit(fastmath=True)
def _at_outputs(p, curvature, softmax, rows, m, width, one):
    """Turn R{x} of the output units into R{delta}: times the second derivative of the loss."""
    zero = one.dtype.type(0)
    if not softmax:
        _times(rows, m, width, curvature, one, one)
        return
    for i in range(rows):
        c = curvature[i * width : (i + 1) * width]
        q = p[i * width : (i + 1) * width]
        for k in range(m):
            r = one[(i * m + k) * width : (i * m + k + 1) * width]
            mean = zero
            for j in range(width):
                mean += c[j] * r[j]
            for j in range(width):
                r[j] = c[j] * r[j] - q[j] * mean


@njit(fastmath=True)
def _backward(theta, sizes, x, units, slope, bend, delta, exact, n, first, last, m, tall, r_in,
              r_out, one, two, part, total_wide, total_tall):  # fmt: skip
    """R{dE/dW} = y R{delta}' + R{y} delta' and R{delta} = slope R{dE/dy} + bend R{x}."""
    rows = last - first
    block = rows * m
    base = len(theta)
    unit = 0
    for layer in range(1, len(sizes)):
        unit += sizes[layer]
    for layer in range(len(sizes) - 2, -1, -1):
        n_in = sizes[layer]
        n_out = sizes[layer + 1]
        size = n_in * n_out
        base -= size + n_out
        unit -= n_out
        a = _inputs_of(layer, sizes, unit, x, units, n, first, last)
        rd = one[: block * n_out]
        np.dot(a.T, rd.reshape(rows, m * n_out), part[: m * size].reshape(n_in, m * n_out))
        _add(part, total_wide[m * base : m * (base + size)])
        bias = total_wide[m * (base + size) : m * (base + size + n_out)]
        step = m * n_out
        for i in range(rows):
            for j in range(step):
                bias[j] += rd[i * step + j]
        if layer == 0:
            return
        weights = theta[base : base + size].reshape(n_in, n_out)
        up = two[: block * n_in]
        np.dot(rd.reshape(block, n_out), weights.T, up.reshape(block, n_in))
        below = n * (unit - n_in)
        s = slope[below + first * n_in : below + last * n_in]
        if not exact:
            _times(rows, m, n_in, s, up, one)
            continue
        d = delta[n * unit + first * n_out : n * unit + last * n_out].reshape(rows, n_out)
        ry = r_out[block * (unit - n_in) : block * unit].reshape(rows, m * n_in)
        np.dot(ry.T, d, part[: m * size].reshape(m * n_in, n_out))
        _add(part, total_tall[m * base : m * (base + size)])
        v = tall[m * base : m * (base + size)].reshape(m * n_in, n_out)
        np.dot(d, v.T, one[: block * n_in].reshape(rows, m * n_in))
        _add(one, up)
        rx = r_in[block * (unit - n_in) : block * unit]
        _times(rows, m, n_in, bend[below + first * n_in : below + last * n_in], rx, rx)
        _times(rows, m, n_in, s, up, one)
        _add(rx, one[: block * n_in])


@njit(fastmath=True)
def multiply(theta, sizes, x, units, slope, bend, delta, curvature, softmax, exact, n, first,
             last, m, wide, tall, work, total_wide, total_tall):  # fmt: skip
    """Multiply m vectors by the Hessian, or by the Gauss-Newton matrix unless ``exact``.

    Equations 8 and 9 of Pearlmutter (1994). The vectors come layer by layer as n_in x (m n_out),
    ``wide``, and as (m n_in) x n_out, ``tall``, so that all of them share one matrix product. The
    results are added in the same two orders: what multiplies activations ``wide``, what multiplies
    errors ``tall``.
    For one vector the two orders are the same array.
    """
    rows = last - first
    outputs = sizes[len(sizes) - 1]
    hidden = 0
    widest = outputs
    for layer in range(len(sizes) - 1):
        if layer > 0:
            hidden += sizes[layer]
        widest = max(widest, sizes[layer])
    block = rows * m
    r_in = work[: block * hidden]
    r_out = work[block * hidden : 2 * block * hidden]
    at = 2 * block * hidden
    one = work[at : at + block * widest]
    two = work[at + block * widest : at + 2 * block * widest]
    part = work[at + 2 * block * widest :]

    _forward(theta, sizes, x, units, slope, n, first, last, m, wide, r_in, r_out, one, two)
    p = units[n * hidden + first * outputs : n * hidden + last * outputs]
    c = curvature[first * outputs : last * outputs]
    _at_outputs(p, c, softmax, rows, m, outputs, one)
    _backward(theta, sizes, x, units, slope, bend, delta, exact, n, first, last, m, tall, r_in,
              r_out, one, two, part, total_wide, total_tall)  # fmt: skip


@njit(fastmath=True)
def root_rows(theta, sizes, x, units, slope, seeds, n, first, last, work, out):
    """Rows of the root of the Gauss-Newton matrix: errors back-propagated from each seed.

    ``seeds`` is (rows, q, n_out): the derivative of q generalised residuals of each pattern by
    the inputs of the output units. ``out`` is (rows * q) x P.
    """
    rows, q, n_out = seeds.shape
    layers = len(sizes) - 1
    widest = 0
    for layer in range(1, layers + 1):
        widest = max(widest, sizes[layer])
    d = work[: rows * q * widest]
    up = work[rows * q * widest : 2 * rows * q * widest]
    flat = seeds.reshape(-1)
    for k in range(rows * q * n_out):
        d[k] = flat[k]
    base = len(theta)
    unit = 0
    for layer in range(1, layers + 1):
        unit += sizes[layer]
    for layer in range(layers - 1, -1, -1):
        n_in = sizes[layer]
        n_out = sizes[layer + 1]
        size = n_in * n_out
        base -= size + n_out
        unit -= n_out
        below = n * (unit - n_in)
        a = _inputs_of(layer, sizes, unit, x, units, n, first, last)
        for i in range(rows):
            for c in range(q):
                row = i * q + c
                error = d[row * n_out : (row + 1) * n_out]
                for k in range(n_in):
                    value = a[i, k]
                    place = base + k * n_out
                    for j in range(n_out):
                        out[row, place + j] = value * error[j]
                for j in range(n_out):
                    out[row, base + size + j] = error[j]
        if layer > 0:
            weights = theta[base : base + size].reshape(n_in, n_out)
            np.dot(
                d[: rows * q * n_out].reshape(rows * q, n_out),
                weights.T,
                up[: rows * q * n_in].reshape(rows * q, n_in),
            )
            s = slope[below + first * n_in : below + last * n_in]
            for i in range(rows):
                for c in range(q):
                    start = (i * q + c) * n_in
                    for j in range(n_in):
                        d[start + j] = s[i * n_in + j] * up[start + j]
