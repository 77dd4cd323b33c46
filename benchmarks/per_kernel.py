"""Which kernels harmonize? JSD and AUC of every kernel by itself, and a picture of the kernels in that order.

    python benchmarks/per_kernel.py --out per-kernel [--kernels NAME_OR_FILE] [--benchmark plax-phantom] [--random]

Each kernel is run as a method of its own (`ssl-kernel[reduce=select,select=i]`), so its AUC comes from a classifier
that sees its 93 features only. Writes kernels.csv, kernels.png and the run folder. An order found on all data is a
description, not a selection: whoever selects kernels must do so inside the training folds (method select-maps).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from figures import Row, figures, table, write_csv
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from harmbench.errors import HarmbenchError
from harmbench_builtin.harmonizers.ssl_kernel.harmonizer import RandomKernel, SslKernel
from harmbench_builtin.kernels.pictures import kernel_tile

_TEXT, _GAP, _COLUMNS = 30, 8, 10


def main() -> None:
    """Run, write, print."""
    arguments = read_arguments()
    rows = per_kernel(arguments)
    write_csv(arguments.out / "kernels.csv", rows)
    weights = {"ssl-kernel": SslKernel(arguments.kernels).kernels.weight}
    if arguments.random:
        weights["random-kernel"] = RandomKernel(arguments.kernels, arguments.kernel_seed).kernels.weight
    picture(rows, weights).save(arguments.out / "kernels.png")
    print(table(rows))
    print(f"\n{arguments.out}/kernels.csv, kernels.png; run folder {arguments.out}/run")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for table, picture and run")
    parser.add_argument("--kernels", default="fcmae-atto-phantom", help="a shipped name or a .safetensors file")
    parser.add_argument("--benchmark", default="plax-phantom", help="name or path of a benchmark file")
    parser.add_argument("--data", default="", help="as harmbench run --data")
    parser.add_argument("--random", action="store_true", help="as many random kernels beside them")
    parser.add_argument("--kernel-seed", type=int, default=0, help="of the random kernels")
    parser.add_argument("--first", type=int, default=0, help="only the first so many kernels (a quick look)")
    parser.add_argument("--set", action="append", default=[], help="as harmbench run --set (repeatable)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


def per_kernel(arguments: argparse.Namespace) -> list[Row]:
    """A row per kernel, lowest JSD first; `none` stands among them."""
    count = len(SslKernel(arguments.kernels).kernels)
    count = min(count, arguments.first) if arguments.first else count
    one = "reduce=select,select={}"
    names = {f"ssl-kernel[kernels={arguments.kernels},{one.format(i)}]": ("ssl-kernel", i) for i in range(count)}
    if arguments.random:
        like = f"like={arguments.kernels},seed={arguments.kernel_seed}"
        names |= {f"random-kernel[{like},{one.format(i)}]": ("random-kernel", i) for i in range(count)}
    found = figures(
        arguments.benchmark,
        list(names),
        arguments.out / "run",
        data=arguments.data,
        settings=arguments.set,
        seed=arguments.seed,
        jobs=arguments.jobs,
    )
    given = [("none", ""), *names.values()]
    rows = [{"method": m, "kernel": k, **values} for (m, k), values in zip(given, found.values(), strict=True)]
    return sorted(rows, key=lambda row: row["jsd_conditional"])


def picture(rows: list[Row], weights: dict[str, np.ndarray]) -> Picture.Image:
    """The kernels in the order of the rows; below each its number, JSD and AUC. Random ones have a grey frame."""
    rows = [row for row in rows if row["method"] != "none"]
    tiles = [kernel_tile(weights[row["method"]][row["kernel"]]) for row in rows]
    side = tiles[0].shape[0]
    high, wide = side + _TEXT + _GAP, max(side, 72) + _GAP
    canvas = Picture.new("RGB", (_COLUMNS * wide + _GAP, -(-len(rows) // _COLUMNS) * high + _GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=11)
    for i, (row, tile) in enumerate(zip(rows, tiles, strict=True)):
        x, y = _GAP + i % _COLUMNS * wide, _GAP + i // _COLUMNS * high
        canvas.paste(Picture.fromarray(tile), (x, y))
        draw.rectangle(
            (x - 1, y - 1, x + side, y + side), outline="gray" if row["method"] == "random-kernel" else "black"
        )
        letter = "r" if row["method"] == "random-kernel" else "k"
        draw.text((x, y + side + 2), f"{letter}{row['kernel']:02d}  JSD {row['jsd_conditional']:.3f}", "black", font)
        draw.text((x, y + side + 15), f"AUC {row['auc_within']:.2f}", "black", font)
    return canvas


if __name__ == "__main__":
    try:
        main()
    except HarmbenchError as error:
        raise SystemExit(f"{error}") from None
