"""What the plugin registers. Nothing heavy is imported here: every harmbench command reads this file."""

from __future__ import annotations

from harmbench import ExtractorSpec, hookimpl


@hookimpl
def register_extractors() -> list[ExtractorSpec]:
    return [
        ExtractorSpec(
            name="nyxus",
            target="harmbench_nyxus.extractor:NyxusExtractor",
            version="1",
            summary="First-order and texture features computed by Nyxus (93 per map)",
            reference="https://github.com/PolusAI/nyxus",
            requires=("nyxus (pip install 'harmbench-nyxus[nyxus]')",),
            params={"levels": 32},
        )
    ]
