"""Fits the coefficients in math.go. Needs numpy and mpmath; prints Go slices, constant term first, and the largest errors.

Minimax by iteratively reweighted least squares (Lawson) on Chebyshev nodes; the errors printed are of the coefficients
rounded to float32, evaluated in float64.
"""
import mpmath as mp
import numpy as np

mp.mp.dps = 40


def nodes(lo, hi, n=3000):
    x = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    return (lo + hi) / 2 + (hi - lo) / 2 * x


def lawson(columns, target, weight, rounds=200):
    """Coefficients c minimising max |weight·(columns·c - target)|."""
    lam = np.ones(len(target)) / len(target)
    best, best_err = None, np.inf
    for _ in range(rounds):
        s = np.sqrt(lam) * weight
        c, *_ = np.linalg.lstsq(columns * s[:, None], target * s, rcond=None)
        err = np.abs(weight * (columns @ c - target))
        if err.max() < best_err:
            best, best_err = c, err.max()
        lam = lam * err
        lam /= lam.sum()
    return best


def show(name, c):
    print(f"\t{name} = []float32{{" + ", ".join(f"{np.float32(v)!r}".replace("np.float32(", "").rstrip(")") for v in c) + "}")


def powers(t, degree, first=0):
    return np.stack([t**i for i in range(first, degree + 1)], 1)


def exp_poly(degree=6):
    h = float(mp.log(2)) / 2 * 1.0001
    x = nodes(-h, h)
    y = np.exp(x)
    # 1 + x + x²·P(x): the first terms exact.
    c = lawson(powers(x, degree - 2) * (x * x)[:, None], y - 1 - x, 1 / y)
    c32 = np.float32(c).astype(float)
    err = np.abs((1 + x + x * x * np.polyval(c32[::-1], x)) / y - 1).max()
    show("expTerms", c)
    print("\t// error", err)


def mills(degree=10, p=0.3):
    """Φ(-a)·exp(a²/2) = t·P(t), t = 1/(1+p·a), for a in [0, 14.5]."""
    t = nodes(1 / (1 + p * 14.5), 1)
    a = (1 / t - 1) / p
    y = np.array([float(mp.erfc(mp.mpf(v) / mp.sqrt(2)) / 2 * mp.exp(mp.mpf(v) ** 2 / 2)) for v in a])
    c = lawson(powers(t, degree, 1), y, 1 / y)
    c32 = np.float32(c).astype(float)
    err = np.abs(powers(t, degree, 1) @ c32 / y - 1).max()
    return err, c


def odd_rational(f, hi, num, den, rounds=30):
    """f(x) = x·P(x²)/Q(x²), Q(0) = 1, relative error on (0, hi]."""
    x = nodes(1e-4, hi, 2000)
    y = np.array([float(f(mp.mpf(v)) / mp.mpf(v)) for v in x])
    z = x * x
    q = np.ones_like(x)
    lam = np.ones(len(x))
    best = (np.inf, None, None)
    for _ in range(rounds * 10):
        cols = np.hstack([powers(z, num), -y[:, None] * powers(z, den, 1)])
        s = np.sqrt(lam) / (y * q)
        scale = np.abs(cols * s[:, None]).max(0)
        c, *_ = np.linalg.lstsq(cols * s[:, None] / scale, y * s, rcond=None)
        c = c / scale
        pc, qc = c[: num + 1], np.concatenate([[1.0], c[num + 1 :]])
        q = np.polyval(qc[::-1], z)
        err = np.abs(np.polyval(pc[::-1], z) / q / y - 1)
        p32, q32 = np.float32(pc).astype(float), np.float32(qc).astype(float)
        e32 = np.abs(np.polyval(p32[::-1], z) / np.polyval(q32[::-1], z) / y - 1).max()
        if e32 < best[0]:
            best = (e32, pc, qc)
        lam = lam * (err / err.max() + 1e-3)
        lam /= lam.mean()
    return best


def log_poly(degree):
    """log(1+r) = r - r²/2 + r³·P(r) for 1+r in [√½, √2]."""
    r = nodes(2**-0.5 - 1, 2**0.5 - 1)
    y = np.log1p(r)
    c = lawson(powers(r, degree) * (r**3)[:, None], y - r + r * r / 2, 1 / np.abs(y))
    c32 = np.float32(c).astype(float)
    return np.abs((r - r * r / 2 + r**3 * np.polyval(c32[::-1], r)) / y - 1).max(), c


if __name__ == "__main__":
    exp_poly()
    err, c = mills(9, 0.35)
    show("millsTerms", c)
    print("\t// error", err)
    for name, f, hi, num, den in (("erf", mp.erf, 4.0, 5, 5), ("tanh", mp.tanh, 9.02, 4, 4)):
        err, p, q = odd_rational(f, hi, num, den)
        show(name + "Above", p)
        show(name + "Below", q)
        print("\t// error", err)
    err, c = log_poly(7)
    show("logTerms", c)
    print("\t// error", err)
