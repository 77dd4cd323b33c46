"""What ships with harmbench. It enters through the same entry-point group as any other plugin."""
