"""Runs every benchmark in turn and prints its table below its name: python -m benchmarks"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> None:
    for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
        print(f"\n{script.stem.replace('_', ' ')}\n", flush=True)
        subprocess.run([sys.executable, script], check=True)


if __name__ == "__main__":
    main()
