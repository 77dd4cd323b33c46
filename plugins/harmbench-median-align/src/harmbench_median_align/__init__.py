"""Medians of manufacturers brought together: a plugin for harmbench."""
