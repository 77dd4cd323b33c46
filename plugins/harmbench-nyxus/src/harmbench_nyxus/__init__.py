"""Features computed by Nyxus: a plugin for harmbench."""
