"""The figures of document 003, from a report."""

from __future__ import annotations

from functools import partial

import numpy as np
import plotly.graph_objects as go

from sae_core.documents.intro import drawing
from sae_core.documents.source import Builder, Source
from sae_core.figures import charts, pictures


def fvu_l0(source: Source) -> go.Figure:
    """FVU against L0 of ReLU + L1 and BatchTopK."""
    curves = {"ReLU + L1": source["curve_relu_l1"], "BatchTopK": source["curve_batch_topk"]}
    return drawing.fvu_against_l0(curves, source.on())


def decoder_norms(source: Source) -> go.Figure:
    """Lengths of the decoder's rows, held at 1 and free."""
    held, free = source["decoder_norms_held"], source["decoder_norms_free"]
    return drawing.decoder_norms(held, free, f"ReLU + L1, weights, n = {len(held):,} rows each")


def l0_of_images(source: Source) -> go.Figure:
    """How many active latents BatchTopK gives the test images."""
    return drawing.l0_of_images(source["l0_of_images"], "BatchTopK, k = 50 on average; mnist/test")


def l0_by_digit(source: Source) -> go.Figure:
    """The same by digit."""
    return charts.by_digit(
        source["l0_by_digit"], "Active latents by digit", "mean L0", f"BatchTopK, k = 50 on average; {source.on()}"
    )


def decoder_rows(source: Source, dense: bool = False) -> go.Figure:
    """The 100 longest decoder rows without (`dense`) and with a sparsity term."""
    rows = source["rows_dense" if dense else "rows_sparse"].astype(np.float32)
    end = pictures.most(rows)
    said = f"ReLU with L1 {'= 0' if dense else 'term'}; weights, n = {len(rows)} rows; "
    said += f"one scale to ±{end:.2g}, which 0.5 % of the weights exceed"
    title = "Decoder rows without sparsity" if dense else "Decoder rows with sparsity"
    return pictures.pictures(rows, 10, title, said, "weight", signed=True, scale=(-end, end), height=480)


def builders() -> dict[str, Builder]:
    """Every figure of the document by its file name, each reading of the contradictions included."""
    return {
        "fvu-l0": fvu_l0,
        "decoder-norms": decoder_norms,
        "l0-of-images": l0_of_images,
        "l0-by-digit": l0_by_digit,
        "decoder-rows-dense": partial(decoder_rows, dense=True),
        "decoder-rows-sparse": decoder_rows,
    }
