"""What `harmbench new` writes."""
