"""`python -m harmbench`, which `torchrun -m harmbench` needs."""

from __future__ import annotations

from harmbench.cli import main

if __name__ == "__main__":
    main()
