"""Run as a script by ``python -I -S``: without ``site``, whose work only few commands need (``image.LateSite``)."""

# Short, because Python compiles it anew for every run. The three modules are those that are needed before the image is open;
# looking for them along sys.path takes thrice as long.
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader

if __name__ == "__main__":
    here = __file__[: -len("/launch.py")]
    sys.path.insert(0, here[: -len("/pktdiag")] or "/")
    for name, file in (("pktdiag", "__init__"), ("pktdiag.image", "image"), ("pktdiag.__main__", "__main__")):
        loader = SourceFileLoader(name, f"{here}/{file}.py")
        sys.modules[name] = module = type(sys)(name)
        module.__loader__, module.__file__ = loader, loader.path
        module.__spec__ = ModuleSpec(name, loader, origin=loader.path, is_package=name == "pktdiag")
        if name == "pktdiag":
            module.__path__ = module.__spec__.submodule_search_locations = [here]
        exec(loader.get_code(name), module.__dict__)  # type: ignore[arg-type]  # None for packages without a file only
    sys.meta_path.append(sys.modules["pktdiag.image"].LateSite())
    module.main()
