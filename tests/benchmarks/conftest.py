import sys
from pathlib import Path

# Benchmarks are programs: they import each other by their bare names.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
