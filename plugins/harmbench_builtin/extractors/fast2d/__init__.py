"""PyRadiomics' features of 2-D maps from a compiled extension, with a NumPy form where it could not be built.

`engine` is the compiled part's Python face (`Plan`, `extract`, `extract_filtered`, `available`); `csrc/` holds the C
sources, one file per feature class. Nothing is imported here, so that listing components costs nothing.
"""
