"""`harmbench cache info|clear`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from harmbench.cli.common import Json, show_json

app = typer.Typer(help="The cache of extracted features: info, clear.", no_args_is_help=True, rich_markup_mode=None)


@app.command("info")
def info(json: Json = False) -> int:
    """Say where the cache is and what it holds."""
    from harmbench.run.cache import Cache

    cache = Cache()
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for kind, file in cache.entries():
        number[kind] += 1
        size[kind] += file.stat().st_size
    if json:
        kinds = {kind: {"entries": number[kind], "bytes": size[kind]} for kind in number}
        show_json({"folder": str(cache.root), "kinds": kinds})
        return 0
    print(cache.root)
    for kind in sorted(number):
        print(f"  {kind}: {number[kind]} entries, {size[kind] / 2**20:.1f} MiB")
    if not number:
        print("  empty")
    return 0


@app.command("clear")
def clear(
    older_than: Annotated[float, typer.Option("--older-than", min=0, help="Only entries older than so many days.")] = 0,
    json: Json = False,
) -> int:
    """Remove entries; they are computed again when needed."""
    from harmbench.run.cache import Cache

    count, size = Cache().clear(older_than)
    if json:
        show_json({"removed": count, "bytes": size})
    else:
        print(f"{count} entries removed, {size / 2**20:.1f} MiB.")
    return 0
