"""What one does with a finished run: export it, score it again, predict with it, compare ways to serve it."""
