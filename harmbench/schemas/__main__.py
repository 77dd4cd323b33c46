"""`python -m harmbench.schemas`: write the JSON Schemas anew."""

from __future__ import annotations

from harmbench.schemas import write

for path in write():
    print(path.name)
