"""ComBat as other packages compute it: a plugin for harmbench."""
