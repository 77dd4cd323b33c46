"""Everything that `harmbench leaderboard build` writes, by format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harmbench.errors import UsageError, suggestion
from harmbench.leaderboard import render
from harmbench.leaderboard.latex import latex
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page.evidence import Evidence, numbers
from harmbench.plugins import Registry
from harmbench.run.cache import write_atomically

MARK = "<!-- Made by `harmbench leaderboard build`, which may write it again. -->"
"""Last line of a README that may be overwritten."""
FIGURE_FORMATS = ("svg", "pdf")
FORMATS = ("md", "json", "csv", "tex", "html", *FIGURE_FORMATS)


def chosen(formats: Sequence[str]) -> tuple[list[str], str]:
    """The formats to write, and what to say about those that are left out.

    Parameters
    ----------
    formats : sequence of str
        Names of `FORMATS`; empty for all that can be written here.

    Raises
    ------
    UsageError
        An unknown format, or a figure was asked for and matplotlib is not installed.
    """
    from harmbench.leaderboard.figures import missing

    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"There is no format '{name}'.{suggestion(name, FORMATS)}")
    problem = missing()
    if not problem:
        return list(formats or FORMATS), ""
    if asked := [name for name in formats if name in FIGURE_FORMATS]:
        raise UsageError(f"--format {asked[0]}: {problem}")
    return [name for name in (formats or FORMATS) if name not in FIGURE_FORMATS], f"No figures: {problem}"


def gather_evidence(
    board: Board,
    folders: Sequence[Path],
    methods: Sequence[str],
    registry: Registry,
    formats: Sequence[str],
    *,
    examples: bool | None = None,
    data: str | None = None,
) -> Evidence | None:
    """What page and figures show besides the board; None when no format needs it.

    Parameters
    ----------
    board, folders, methods, registry
        As for `harmbench.leaderboard.collect.build`, and what it gave.
    formats : sequence of str
    examples : bool, optional
        Whether to draw images; None: of simulated data only.
    data : str, optional
        `--data` of a data set that needs it.
    """
    if not {"html", "json", *FIGURE_FORMATS} & set(formats):
        from harmbench.leaderboard.interpretation import read

        return Evidence(interpretation=read(folders, methods)) if "csv" in formats else None
    from harmbench.leaderboard.page.pictures import add_pictures
    from harmbench.leaderboard.page.reading import knows_samples, read_evidence

    evidence = read_evidence(folders, methods)
    if "html" in formats:
        add_pictures(evidence, board, registry, examples=examples, data=data, known=knows_samples(folders))
    return evidence


def write(board: Board, folder: Path, formats: Sequence[str], evidence: Evidence | None = None) -> list[Path]:
    """Write a board.

    Parameters
    ----------
    board : Board
    folder : Path
        Gets `README.md`, `leaderboard.json`, `.csv`, `.tex`, `index.html`, `figures/`, and, of runs,
        `evidence.json` and the files of `interpretation_files` where the runs were scored by it.
    formats : sequence of str
        What `chosen` gave.
    evidence : Evidence, optional
        For the page, the figure of feature classes, and the files of `interpretation_files`.

    Returns
    -------
    list of Path
        The files, in the order of writing.

    Raises
    ------
    UsageError
        The folder holds a `README.md` that was not made here.
    """
    _check_readme(folder, formats)
    found = evidence or Evidence()
    beside = _interpretation(found, formats) | _figures(board, found, formats)
    if found.methods and "json" in formats:
        text = numbers(found).model_dump_json(by_alias=True, indent=1)
        beside = {"evidence.json": f"{text}\n".encode(), **beside}
    texts: dict[str, tuple[str, Callable[[], str]]] = {
        "json": ("leaderboard.json", lambda: render.as_json(board)),
        "csv": ("leaderboard.csv", lambda: render.as_csv(board)),
        "tex": ("leaderboard.tex", lambda: latex(board)),
        "html": ("index.html", lambda: _page(board, found)),
        "md": ("README.md", lambda: readme(board, [*(n for n, _ in texts.values()), *beside], formats)),
    }
    contents = {name: make().encode() for key, (name, make) in texts.items() if key in formats} | beside
    for name, content in contents.items():
        write_atomically(folder / name, content)
    for name in _possible(formats) - contents.keys():  # of a board that was here before
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in contents]


def _possible(formats: Sequence[str]) -> set[str]:
    """Files that may come with these formats, and do not of every board."""
    from harmbench.leaderboard.figures import NAMES
    from harmbench.leaderboard.interpretation_files import FILES

    drawn = {f"figures/{name}.{kind}" for name in NAMES for kind in FIGURE_FORMATS}
    return {n for n in {"evidence.json", *FILES, *drawn} if Path(n).suffix[1:] in formats}


def _page(board: Board, evidence: Evidence) -> str:
    from harmbench.leaderboard.page.build import page

    return page(board, evidence)


def _interpretation(evidence: Evidence, formats: Sequence[str]) -> dict[str, bytes]:
    known = evidence.interpretation
    if known is None or not known.methods:
        return {}
    from harmbench.leaderboard.interpretation_files import texts

    return {name: text.encode() for name, text in texts(known).items() if Path(name).suffix[1:] in formats}


def _figures(board: Board, evidence: Evidence, formats: Sequence[str]) -> dict[str, bytes]:
    wanted = [name for name in FIGURE_FORMATS if name in formats]
    if not wanted:
        return {}
    from harmbench.leaderboard.figures import figures

    return {f"figures/{name}.{kind}": content for (name, kind), content in figures(board, evidence, wanted).items()}


def readme(board: Board, files: Sequence[str], formats: Sequence[str]) -> str:
    """The board as a forge shows it: figure, tables, and what else lies in the folder."""
    head, _, rest = render.markdown(board).partition("\n\n")
    facts, _, tables = rest.partition("\n\n")
    picture = "figures/pareto.svg"
    shown = [f"![Pareto plot of the two goals]({picture})", ""] if picture in files else []
    beside = [name for name in files if name != "README.md" and (Path(name).suffix[1:] in formats)]
    links = ", ".join(f"[{name}]({name})" for name in beside)
    lines = [head, "", facts, ""]
    lines += [f"In this folder: {links}.", ""] if links else []
    if "index.html" in beside:
        lines += ["`index.html` is one page that needs no network: download it and open it in a browser.", ""]
    return "\n".join([*lines, *shown, tables, MARK, ""])


def _check_readme(folder: Path, formats: Sequence[str]) -> None:
    """Never write over a README that somebody else wrote."""
    path = folder / "README.md"
    if "md" in formats and path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{path} was not made by harmbench and would be lost. Choose another --out, or rename it.")
