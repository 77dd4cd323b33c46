"""What a wrong command line says, to people and to programs."""

from __future__ import annotations

import json

import pytest

from harmbench import cli
from harmbench.cli import run_command


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "run", "--json"],
        ["compare", "a", "--json"],
        ["leaderboard", "build", "--json"],
        ["run", "--nix", "--json"],
    ],
)
def test_a_wrong_command_line_is_json_where_json_is_asked_for(arguments, capsys):
    assert run_command(arguments) == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["exit_code"] == 1 and found["error"]["message"]
    assert found["error"]["message"].splitlines()[0] in shown.err


@pytest.mark.parametrize("out", ["", " "])
def test_an_empty_folder_is_refused_before_anything_is_done(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for verb in (["leaderboard", "build", "nowhere"], ["leaderboard", "merge", "nowhere"], ["data", "generate", "x"]):
        assert run_command([*verb, "--out", out]) == 1
        assert "--out is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_verb_says_so(monkeypatch, capsys):
    def stopped(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr("harmbench.leaderboard.files.load", stopped)
    assert run_command(["leaderboard", "diff", "a", "b"]) == cli.EXIT_INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
