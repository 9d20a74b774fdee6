"""The picture of the variance explained: shares of fixed effects, random terms and residual."""

from types import SimpleNamespace

import numpy as np

from lmmfit._panels import COLOURS, clear_frame, panels
from lmmfit.mixed.explained import variance_explained

__all__ = ["VariancePartitionDisplay"]

_LABELLED = 40  # responses up to which each has a bar and its name
_TERMS = ("#1f6fb4", "#9dbcd9", "#0d3b66", "#5aa39a", "#a9d6c5", "#6a6fb0")
_REST = "0.82"


class VariancePartitionDisplay:
    """Shares of the variance of one response, or of many.

    One response has a bar for each share. Of many, each response is one bar of all its shares,
    sorted by the largest component, or each component is one violin of all responses
    (Hoffman and Schadt 2016). Variances are those of :func:`lmmfit.mixed.variance_explained`.

    Parameters
    ----------
    variances : ndarray of shape (k, n_components)
        Variances of each response.
    components : tuple of str
        Their names, the residual last.
    responses : sequence of str, default=("response",)
        Names of the k responses.
    kind : {"bars", "violins"}, optional
        How many responses are drawn; by default bars up to 40, violins beyond.

    Attributes
    ----------
    shares : ndarray of shape (k, n_components)
        Rows sum to one; NaN for a response without variance, which is left out.
    order : ndarray of int
        Responses in the order of the bars: by falling share of the component, other than the
        residual, whose mean share is largest.
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (1, 1)
        Set by :meth:`plot`.

    References
    ----------
    Hoffman, G. E. and Schadt, E. E. (2016). variancePartition: interpreting drivers of variation
    in complex gene expression studies. BMC Bioinformatics 17, 483.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_penicillin
    >>> from lmmfit.mixed.plots import VariancePartitionDisplay
    >>> frame = load_penicillin(as_frame=True).frame
    >>> model = lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", frame)
    >>> display = VariancePartitionDisplay.from_estimator(model)
    >>> display.components
    ('fixed effects', 'plate', 'sample', 'residual')
    >>> display.shares.round(3)
    array([[0.   , 0.151, 0.785, 0.064]])
    """

    def __init__(self, variances, components, responses=("response",), kind=None):
        if kind not in (None, "bars", "violins"):
            raise ValueError(f"kind must be 'bars', 'violins' or None, got {kind!r}.")
        variances = np.asarray(variances, dtype=np.float64)
        if variances.shape != (len(responses), len(components)):
            raise ValueError(
                f"variances must have shape ({len(responses)}, {len(components)}), one row a "
                f"response and one column a component, got {variances.shape}."
            )
        self.variances, self.components = variances, tuple(components)
        self.responses, self.kind = tuple(map(str, responses)), kind
        total = variances.sum(axis=1, keepdims=True)
        self.shares = np.full(variances.shape, np.nan)
        np.divide(variances, total, out=self.shares, where=total > 0.0)
        whole = np.flatnonzero(total[:, 0] > 0.0)
        named = self.shares[whole, :-1]
        self._first = int(named.mean(axis=0).argmax()) if named.size else 0
        self.order = whole[np.argsort(-self.shares[whole, self._first], kind="stable")]
        self.figsize = self._size()

    @classmethod
    def from_estimator(cls, model, X=None, *, kind=None, ax=None):
        """Draw the variance partition of a fitted model.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted, to one response or to many.
        X : data frame or array-like of shape (n, n_features), optional
            The rows to take means over, as for :func:`lmmfit.mixed.variance_explained`.
        kind : {"bars", "violins"}, optional
            How many responses are drawn; by default bars up to 40, violins beyond.
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        VariancePartitionDisplay

        Raises
        ------
        ValueError
            If the kind is unknown, the model has a residual structure, or it has no intercept
            and X is missing.
        """
        if hasattr(model, "response_names_"):
            responses = model.response_names_
            found = [variance_explained(own, X) for own in _each_response(model)]
        else:
            responses = (_response_name(model),)
            found = [variance_explained(model, X)]
        variances = [[own.fixed, *own.terms["variance"], own.residual] for own in found]
        components = ("fixed effects", *map(str, found[0].terms["term"]), "residual")
        return cls(variances, components, responses, kind).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        VariancePartitionDisplay

        Raises
        ------
        ValueError
            If no response has any variance.
        """
        if not self.order.size:
            raise ValueError("no response has any variance: nothing to draw.")
        self.figure_, self.axes_, _ = panels(ax, 1, 1, self.figsize)
        panel = self.axes_[0, 0]
        clear_frame(panel)
        if len(self.responses) == 1:
            self._draw_one(panel)
        elif self._drawn == "bars":
            self._draw_bars(panel)
        else:
            self._draw_violins(panel)
        return self

    @property
    def _drawn(self):
        """How many responses are drawn."""
        return self.kind or ("bars" if len(self.responses) <= _LABELLED else "violins")

    @property
    def _colours(self):
        terms = [_TERMS[j % len(_TERMS)] for j in range(len(self.components) - 2)]
        return [COLOURS["population"], *terms, _REST]

    def _size(self):
        longest = max(map(len, self.components))
        if len(self.responses) == 1:
            return 5.0 + 0.07 * longest, 1.3 + 0.4 * len(self.components)
        if self._drawn == "violins":
            return max(4.5, 1.2 + max(1.1, 0.3 + 0.08 * longest) * len(self.components)), 4.2
        height = 0.2 * max(len(self.order), 8) if len(self.order) <= _LABELLED else 4.5
        return 6.5, 1.6 + height

    def _draw_one(self, panel):
        """Draw a bar for each share of one response, named by its percentage."""
        shares, at = self.shares[0], np.arange(len(self.components))
        panel.barh(at, shares, height=0.65, color=self._colours)
        for j, share in enumerate(shares):
            panel.text(share + 0.01, j, f"{100 * share:.1f}%", va="center", fontsize=8)
        panel.set_yticks(at, self.components)
        panel.invert_yaxis()
        panel.set_xlim(0.0, 1.12 * shares.max())
        _name_shares(panel.xaxis)
        panel.set_title(f"Variance of {self.responses[0]}", fontsize=10)

    def _draw_bars(self, panel):
        """Draw one bar of all shares for each response, sorted by the leftmost."""
        m, count = len(self.order), len(self.components)
        labelled, edges = m <= _LABELLED, np.arange(m + 1) - 0.5
        left, rank = np.zeros(m), np.arange(m)
        for j in [self._first, *(j for j in range(count) if j != self._first)]:
            right = left + self.shares[self.order, j]
            own = {"color": self._colours[j], "label": self.components[j]}
            if labelled:
                panel.barh(rank, right - left, left=left, height=0.8, **own)
            else:  # bars thinner than a pixel are one area
                panel.fill_betweenx(
                    np.repeat(edges, 2)[1:-1], np.repeat(left, 2), np.repeat(right, 2),
                    linewidth=0, rasterized=True, **own,
                )  # fmt: skip
            left = right
        panel.set_ylim(m - 0.5, -0.5)
        panel.set_xlim(0.0, 1.0)
        if labelled:
            panel.set_yticks(rank, [self.responses[k] for k in self.order])
        else:
            panel.set_yticks([])
            name = self.components[self._first]
            panel.set_ylabel(f"{m} responses, sorted by {name}", fontsize=9)
        _name_shares(panel.xaxis)
        panel.set_title(self._title, fontsize=10, pad=10 + 13 * -(-count // 4))
        panel.legend(  # between the title and the bars
            loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, ncols=min(count, 4),
            frameon=False, borderaxespad=0.3, handlelength=1.4,
        )  # fmt: skip

    def _draw_violins(self, panel):
        """Draw for each component the distribution over the responses, quartiles inside."""
        for j, colour in enumerate(self._colours):
            share = self.shares[self.order, j]
            if np.ptp(share) > 1e-9:
                body = panel.violinplot(share, [j], widths=0.85, showextrema=False)["bodies"][0]
                body.set(facecolor=colour, alpha=0.9, linewidth=0)
            panel.boxplot(
                share, positions=[j], widths=0.12, showfliers=False, patch_artist=True,
                boxprops={"facecolor": "white", "linewidth": 0.8}, capprops={"linewidth": 0},
                whiskerprops={"linewidth": 0.8}, medianprops={"color": "black", "linewidth": 1.6},
            )  # fmt: skip
        panel.set_xticks(range(len(self.components)), self.components)
        panel.set_xlim(-0.6, len(self.components) - 0.4)
        panel.set_ylim(0.0, 1.0)
        _name_shares(panel.yaxis)
        panel.set_title(self._title, fontsize=10)

    @property
    def _title(self):
        text = f"Variance of {len(self.order)} responses"
        left_out = len(self.responses) - len(self.order)
        return f"{text}, {left_out} without any left out" if left_out else text


def _each_response(model):
    """For each of many responses what the variance explained is computed from.

    The products of the columns are the same for all; only the estimates differ, so that no
    response is fitted again.
    """
    fits = model.result_
    blocks = fits.block_covariances
    for j in range(len(fits)):
        result = SimpleNamespace(
            beta=fits.beta[j], lambda_=fits.lambda_[j], sigma2=fits.sigma2[j],
            block_covariances=[own[j] for own in blocks],
        )  # fmt: skip
        yield SimpleNamespace(
            result_=result, statistics_=model.statistics_, design_=model.design_,
            cov_re_=model.cov_re_, sigma2_=fits.sigma2[j], residual_=model.residual_,
        )  # fmt: skip


def _name_shares(axis):
    axis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axis.set_label_text("share of the variance", fontsize=9)


def _response_name(model):
    return model.formula_.split("~")[0].strip() if hasattr(model, "formula_") else "the response"
