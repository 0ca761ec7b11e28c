"""Reports of evaluations, and every figure."""
