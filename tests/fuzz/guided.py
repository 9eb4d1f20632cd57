"""atheris over one decoder. ``python -m tests.fuzz.guided NAME -max_total_time=180``; no name: says which there are."""

from __future__ import annotations

import sys


def main() -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["pktdiag"]):
        from .decoders import DECODERS
    if len(sys.argv) < 2 or sys.argv[1] not in DECODERS:
        print("decoders:", *DECODERS, file=sys.stderr)
        return 2
    atheris.Setup([sys.argv[0], *sys.argv[2:]], DECODERS[sys.argv[1]])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
