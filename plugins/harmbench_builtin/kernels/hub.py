"""Files of a model hub (Hugging Face's protocol), fetched only when the user asks for it.

`huggingface_hub` does the work: its cache, its settings (`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`) and its log-in
hold here, too. It comes with the extra `harmbench[hub]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harmbench.errors import DataError, HarmbenchError, UsageError, suggestion

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin", "pytorch_model.pt")
"""What is taken when no file is named, the first that is there."""
BESIDE = ("config.json", "preprocessor_config.json")
"""Small files that say which grey levels a network was given."""
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".tar")


@dataclass(frozen=True)
class HubFile:
    """A file that was fetched.

    Parameters
    ----------
    path : Path
        Where it lies now, with those of `BESIDE` that there are.
    repository, file, revision : str
        `revision` is the commit.
    licence : str
        As the repository's card says; "" where it does not.
    """

    path: Path
    repository: str
    file: str
    revision: str
    licence: str


def fetch(source: str) -> HubFile:
    """Fetch `ORG/NAME`, `ORG/NAME:file` or `ORG/NAME@revision:file`.

    Raises
    ------
    UsageError
        The text cannot be read, the repository or file does not exist, or the extra is missing.
    DataError
        The hub cannot be reached, or refuses.
    """
    where, _, wanted = source.partition(":")
    repository, _, revision = where.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")) or "\\" in repository or ".." in source:
        raise UsageError(f"--from-hub takes ORG/NAME or ORG/NAME:file, not '{source}'.")
    try:
        import huggingface_hub as hub
    except ModuleNotFoundError:
        raise UsageError(
            "--from-hub needs huggingface_hub, which is not installed: pip install 'harmbench[hub]'. "
            "Or download the file yourself and give its path."
        ) from None
    with _said(source):
        info = hub.HfApi().model_info(repository, revision=revision or None)
        files = [sibling.rfilename for sibling in info.siblings or ()]
        name = wanted or next((file for file in WEIGHTS if file in files), "")
        if name not in files:
            weights = [file for file in files if file.endswith(_ENDINGS)]
            hint = suggestion(name, files) if name else ""
            raise UsageError(
                f"{repository} has {f'no file {name!r}' if name else 'more than one or no weight file'}."
                f"{hint if 'Did you mean' in hint else ''} Name one as {repository}:FILE, of: "
                f"{', '.join(weights[:12]) or 'none that could hold weights'}."
            )
        commit = str(info.sha)
        path = Path(hub.hf_hub_download(repository, name, revision=commit))
        for other in BESIDE:
            if other in files:
                hub.hf_hub_download(repository, other, revision=commit)
    card = info.card_data
    licence = (card.get("license") if card is not None else "") or ""
    return HubFile(path, repository, name, commit, licence if isinstance(licence, str) else ", ".join(licence))


@contextmanager
def _said(source: str) -> Iterator[None]:
    """The hub's errors as ours."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise UsageError(
            f"The hub has no '{source}' for you to read ({type(error).__name__}). Check the name; for a gated or "
            "private one, log in with its own tool (hf auth login)."
        ) from error
    except HarmbenchError:
        raise
    except Exception as error:  # connection errors are of the hub's own network library, which changes between versions
        raise DataError(
            f"'{source}' could not be fetched ({type(error).__name__}: {str(error).splitlines()[0]}).",
            remedy="Check the connection, or download the file yourself and give its path.",
        ) from error
