"""Run as a script by ``python -I -S``: without ``site``, whose work only few commands need; they get it when they ask."""

import sys


class LateSite:
    """The last of the finders: what nobody found may lie in site-packages."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # types cost an import
        from importlib.machinery import PathFinder

        if self in sys.meta_path:
            sys.meta_path.remove(self)
            from site import main

            main()
        return PathFinder.find_spec(name, path, target)


if __name__ == "__main__":
    sys.path.insert(0, __file__[: -len("/pktdiag/launch.py")] or "/")
    sys.meta_path.append(LateSite())
    from pktdiag.__main__ import main

    main()
