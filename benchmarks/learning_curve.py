"""How much do the number of pretraining images and the mix of scanners matter? A learning curve.

    python benchmarks/learning_curve.py --out curve [--images 16,64,256] [--scanners virtual --scanners GE-like ...]

For every number and mix: `harmbench pretrain` with the same number of steps and the same start, so that nothing but the
images differs; then `ssl-kernel` with those kernels on the benchmark, beside `random-kernel` and `none`. A larger set
holds the smaller one; hearts are the same in all mixes. Writes curve.csv, curve.svg, the kernels and the run folder.
What was trained or run before in the same folder is not done again.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from figures import Row, figures, table, write_csv

from harmbench.cli import run_command
from harmbench.errors import HarmbenchError

_COLOURS = ("#1b6ca8", "#c1440e", "#3a7d44", "#7b3fa0", "#8a6d1b", "#555555")
_WIDE, _HIGH, _LEFT, _TOP = 460, 260, 62, 40


def main() -> None:
    """Train, run, write, print."""
    arguments = read_arguments()
    trained = {
        (mix, count): train(arguments, mix, count)
        for mix in arguments.scanners or ["virtual"]
        for count in arguments.images
    }
    # Kernels of one size and number have the same random counterpart up to norms; those of the first serve.
    first = next(iter(trained.values()))
    methods = [f"ssl-kernel[kernels={path}]" for path in trained.values()] + [f"random-kernel[like={first}]"]
    found = figures(
        arguments.benchmark,
        methods,
        arguments.out / "run",
        data=arguments.data,
        settings=arguments.set,
        seed=arguments.seed,
        jobs=arguments.jobs,
    )
    rows = curve(found, trained)
    write_csv(arguments.out / "curve.csv", rows)
    (arguments.out / "curve.svg").write_text(drawing(rows), encoding="utf-8")
    print(table(rows))
    print(f"\n{arguments.out}/curve.csv, curve.svg; run folder {arguments.out}/run")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for kernels, run, table and drawing")
    parser.add_argument("--images", type=numbers, default=[16, 64, 256], help="numbers of images, with commas")
    parser.add_argument(
        "--scanners",
        action="append",
        default=[],
        help="a mix, such as virtual or GE-like:4,Philips-like:1 (repeatable)",
    )
    parser.add_argument("--pretrain-set", action="append", default=[], help="as harmbench pretrain --set (repeatable)")
    parser.add_argument("--benchmark", default="plax-phantom", help="name or path of a benchmark file")
    parser.add_argument("--data", default="", help="as harmbench run --data")
    parser.add_argument("--set", action="append", default=[], help="as harmbench run --set (repeatable)")
    parser.add_argument("--seed", type=int, default=0, help="of pretraining, splits and classifiers")
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def train(arguments: argparse.Namespace, mix: str, count: int) -> Path:
    """The kernel file of one point of the curve; trained by the command that a user would type."""
    folder = arguments.out / "kernels" / f"{mix.replace(':', 'x').replace(',', '+')}-{count}"
    settings = [part for text in arguments.pretrain_set for part in ("--set", text)]
    command = ["pretrain", "--out", str(folder), "--images", str(count), "--scanners", mix, "--quiet"]
    code = run_command([*command, "--seed", str(arguments.seed), *settings])
    kernels = folder / "kernels.safetensors"
    if code or not kernels.is_file():
        # A training that was stopped has saved where it was; the same command goes on from there.
        raise SystemExit(f"stopped: harmbench {' '.join(command)} ended with {code} and left no {kernels.name}")
    return kernels


def curve(found: dict[str, dict[str, float]], trained: dict[tuple[str, int], Path]) -> list[Row]:
    """A row per point: none and the random kernels first, then mixes with rising numbers of images."""
    points = iter(trained.items())
    rows: list[Row] = []
    for name, values in found.items():
        if name.startswith("ssl-kernel"):
            (mix, count), path = next(points)
            last = json.loads((path.parent / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
            rows.append({"kernels": mix, "images": count, "cosine_to_start": float(last["stem_cosine"]), **values})
        else:
            rows.append({"kernels": name.partition("[")[0], "images": 0, "cosine_to_start": math.nan, **values})
    return sorted(rows, key=lambda row: row["images"] > 0)


def drawing(rows: list[Row]) -> str:
    """JSD and within-manufacturer AUC over the number of images, as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * _WIDE}" height="{_HIGH + 40}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, (metric, title) in enumerate(
        (("jsd_conditional", "JSD, class-conditional (lower is better)"), ("auc_within", "within-manufacturer AUC"))
    ):
        parts += panel(rows, metric, title, i * _WIDE)
    return "\n".join([*parts, "</svg>\n"])


def panel(rows: list[Row], metric: str, title: str, left: float) -> list[str]:
    """One chart: a line per mix, dashed lines for what has no training images."""
    values = [row[metric] for row in rows]
    low, high = min(values), max(values)
    low, high = low - 0.1 * (high - low or 1), high + 0.1 * (high - low or 1)
    counts = sorted({row["images"] for row in rows if row["images"]})
    right, bottom = left + _WIDE - 120, _HIGH - 10
    span = math.log(counts[-1] / counts[0]) or 1

    def x(count: int) -> float:
        return left + _LEFT + 10 + (right - left - _LEFT - 20) * math.log(count / counts[0]) / span

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * (value - low) / (high - low)

    parts = [
        f'<text x="{left + _LEFT}" y="20" font-size="13">{title}</text>',
        f'<path d="M{left + _LEFT},{_TOP} V{bottom} H{right}" fill="none" stroke="black"/>',
        f'<text x="{left + _LEFT}" y="{bottom + 34}">pretraining images</text>',
    ]
    parts += [f'<text x="{x(c):.1f}" y="{bottom + 16}" text-anchor="middle">{c}</text>' for c in counts]
    for tick in (low + (high - low) * share for share in (0.1, 0.5, 0.9)):
        parts.append(f'<text x="{left + _LEFT - 4}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.3f}</text>')
    for i, kernels in enumerate(dict.fromkeys(row["kernels"] for row in rows)):
        colour = _COLOURS[i % len(_COLOURS)]
        own = [row for row in rows if row["kernels"] == kernels]
        end = y(own[-1][metric])
        if own[0]["images"]:
            points = " ".join(f"{x(row['images']):.1f},{y(row[metric]):.1f}" for row in own)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [
                f'<circle cx="{x(row["images"]):.1f}" cy="{y(row[metric]):.1f}" r="3" fill="{colour}"/>' for row in own
            ]
        else:
            parts.append(f'<path d="M{left + _LEFT},{end:.1f} H{right}" stroke="{colour}" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{right + 4}" y="{end + 4:.1f}" fill="{colour}">{kernels}</text>')
    return parts


if __name__ == "__main__":
    try:
        main()
    except HarmbenchError as error:
        raise SystemExit(f"{error}") from None
