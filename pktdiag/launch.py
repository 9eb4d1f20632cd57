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
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    here = __file__[: -len("/launch.py")]
    sys.path.insert(0, here[: -len("/pktdiag")] or "/")
    sys.meta_path.append(LateSite())
    # The three modules that are needed before the image is open; looking for them along sys.path takes thrice as long.
    for name, file, folder in (("pktdiag", "__init__", [here]), ("pktdiag.image", "image", None), ("pktdiag.__main__", "__main__", None)):
        spec = spec_from_file_location(name, f"{here}/{file}.py", submodule_search_locations=folder)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    module.main()
