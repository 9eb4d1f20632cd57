"""The image of the package's code: learnt by a run, used by the next, never used when a source has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.lab import Lab

ROOT = Path(__file__).parent.parent
WRITING = {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, "PYTHONHASHSEED": "1"}
IMAGE = f"image.{sys.implementation.cache_tag}-{sys.hexversion:x}"
SHOW = ("import sys\nsys.argv = ['pktdiag', 'trace', '127.0.0.1:9/udp']\nimport pktdiag.__main__, posix\n"
        "posix._exit = lambda status: print(*sorted(n for n, m in sys.modules.items()"
        " if type(getattr(m, '__loader__', None)).__name__ == 'Image'), file=sys.stderr)\n"
        "pktdiag.__main__.main()")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pktdiag", tmp_path / "pktdiag", ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
    return tmp_path


def run(copy: Path, *argv: str) -> None:
    subprocess.run([sys.executable, "-m", "pktdiag", *argv], cwd=copy, capture_output=True, timeout=60, check=False, env=WRITING)


def from_image(copy: Path) -> set[str]:
    """Modules a run took out of the image."""
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=copy, capture_output=True, text=True, timeout=60, check=False,
                          env=WRITING)
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stderr.split())


def test_the_second_run_uses_what_the_first_one_learnt(copy: Path) -> None:
    assert from_image(copy) == set()
    learnt = from_image(copy)
    assert {"pktdiag.cli.trace", "pktdiag.cli.question", "pktdiag.model.packet"} <= learnt
    assert from_image(copy) == learnt


def test_a_changed_source_is_read_again(copy: Path) -> None:
    from_image(copy)
    changed = copy / "pktdiag" / "cli" / "question.py"
    changed.write_text(changed.read_text() + "\nimport sys\nprint('changed', file=sys.stderr)\n")
    seen = from_image(copy)
    assert "changed" in seen and "pktdiag.cli.question" not in seen and "pktdiag.cli.trace" in seen
    seen = from_image(copy)
    assert {"changed", "pktdiag.cli.question"} <= seen


@pytest.mark.parametrize("rubbish", [b"", b"x", bytes(100), b"\0\0\0\x05rubbish", b"\xff" * 50])
def test_a_broken_image_is_no_image(copy: Path, rubbish: bytes) -> None:
    from_image(copy)
    image = copy / "pktdiag" / "__pycache__" / IMAGE
    image.write_bytes(rubbish)
    assert from_image(copy) == set()
    assert from_image(copy)
    image.write_bytes(image.read_bytes()[:2000])  # no room on the disk
    assert "pktdiag.cli.trace" not in from_image(copy)


def test_a_moved_package_has_no_image(copy: Path) -> None:
    from_image(copy)
    moved = copy / "elsewhere"
    moved.mkdir()
    (copy / "pktdiag").rename(moved / "pktdiag")
    assert from_image(moved) == set()


def saved(copy: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What a script prints that has the copy's image module and its making at hand."""
    head = "import sys\nfrom pktdiag import image, image_making\nmade = image.install()\n"
    done = subprocess.run([sys.executable, "-c", head + script], cwd=copy, capture_output=True, text=True, timeout=120, check=False, env=WRITING)
    assert done.returncode == 0, done.stderr
    return done


ALL = """
from pathlib import Path
for path in sorted(Path(image.FOLDER).rglob('*.py')):
    parts = path.relative_to(image.FOLDER).with_suffix('').parts
    name = '.'.join(('pktdiag', *parts)).removesuffix('.__init__')
    if name.count('.') and parts[-1] not in ('__main__', 'launch', 'image', 'image_making'):
        made.missed.append(name)
"""


def test_functions_that_sleep_answer_as_if_awake(copy: Path) -> None:
    """An image of the whole package in which every function is a stub."""
    saved(copy, ALL + "image_making.save(made)\n")
    asleep = ("import pktdiag.walk.route, pktdiag.walk.bridge\n"
              "print(sum(image.stub_number(getattr(f, '__code__', image.install.__code__)) >= 0"
              " for m in (pktdiag.walk.route, pktdiag.walk.bridge) for f in vars(m).values()))")
    assert int(saved(copy, asleep).stdout) > 10
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for argv in (["trace", "127.0.0.1:9/udp"], ["why-dropped", "127.0.0.1:9/udp", "--json"], ["hooks", "--json"], ["trace", "nonsense address"]):
        runs = [subprocess.run([sys.executable, "-I", "-S", root / "pktdiag" / "launch.py", *argv], capture_output=True, text=True,
                               timeout=60, check=False, env=environment) for root in (copy, ROOT)]
        assert (runs[0].returncode, runs[0].stdout, runs[0].stderr) == (runs[1].returncode, runs[1].stdout, runs[1].stderr)


RECORDS = ALL + """
import pickle
for name in list(made.missed):
    for cls in list(vars(__import__(name, fromlist=['__name__'])).values()):
        if isinstance(cls, type) and hasattr(cls, '_fields') and cls.__module__ == name:
            one = cls._make(range(len(cls._fields)))
            named = one._asdict()
            print(cls.__mro__, cls.__qualname__, type(cls), cls.__match_args__, cls._field_defaults, one.__getnewargs__(), tuple(one), named)
            print(cls(*one) == cls(**named) == one == pickle.loads(pickle.dumps(one)), one._replace(**{n: 0 for n in list(named)[:1]}) == one)
            print({n: getattr(one, n) for n in cls._fields} == named, sorted(set(vars(cls)) - {'__doc__', '__annotations__', '__annotate__'}))
            print(repr(one))
"""


def test_records_out_of_the_image_are_those_of_their_source(copy: Path) -> None:
    plain = saved(copy, RECORDS).stdout
    saved(copy, ALL + "image_making.save(made)\n")
    assert saved(copy, RECORDS).stdout == plain and plain.count("<class 'tuple'>") > 100


EQUAL = """
from marshal import loads
def parts(data):
    start = 4 + int.from_bytes(data[:4], 'big')
    _, _, tracks, _, (offset, length) = loads(data[4:start])
    piece = lambda offset, length: loads(data[start + offset:])
    index, taught = piece(offset, length)
    codes = {name: plain(piece(*entry[1:3]), piece) for name, entry in index.items()}
    told = {command: [[code.co_filename for code in piece(*one)] for one in track[1:]] for command, track in tracks.items()}
    return codes, told, taught, {name: entry[0] + entry[3] for name, entry in index.items()}
def plain(code, piece):
    if image.stub_number(code) >= 0:
        module, name, behind = piece(image.stub_number(code) + 4, None)
        return ('stub', module, name, plain(behind, piece))
    consts = [plain(const, piece) if hasattr(const, 'co_code') else const for const in code.co_consts]
    return (code.co_name, code.co_filename, code.co_firstlineno, code.co_code, code.co_names, code.co_varnames, list(code.co_lines()), consts)
made.run_track('trace')
made.thawed += [stub for stub in [('pktdiag.cli.fastlane', 'parse'), ('pktdiag.cli.options', 'nothing')]]
one = parts(image_making._Making(made).data())
image_making.fresh = lambda stamp: False
two = parts(image_making._Making(made).data())
print(one == two, len(one[0]), sum(map(len, one[1].values())), len(one[2]['trace'][1]))
"""


def test_an_image_made_of_an_image_equals_one_made_of_sources(copy: Path) -> None:
    for argv in (["trace", "127.0.0.1:9/udp"], ["trace", "127.0.0.1:9/udp"], ["hooks"], ["hooks"], ["trace", "nonsense address"]):
        run(copy, *argv)
    equal, modules, pieces, warm = saved(copy, EQUAL).stdout.split()
    assert equal == "True" and int(modules) > 100 and int(pieces) > 10 and int(warm) > 100


def test_only_what_is_new_is_compiled(copy: Path) -> None:
    from_image(copy)
    script = ("compiled = []\nimage_making._Making._compiled = lambda self, name: compiled.append(name)\n"
              "made.missed += ['pktdiag.cli.completion']\nimage_making._Making(made).data()\nprint(*compiled)\n"
              "path = __import__('pathlib').Path(image.FOLDER, 'cli', 'trace.py')\npath.write_text(path.read_text() + '\\n')\n"
              "image_making._Making(made).data()\nprint(len(compiled))\n")
    only, every = saved(copy, script).stdout.splitlines()
    assert only == "pktdiag.cli.completion" and int(every) > 10


@pytest.mark.parametrize("argv", [["trace", "127.0.0.1:9/udp", "--json"], ["--help"]])
def test_runs_at_once_do_not_disturb_each_other(copy: Path, argv: list[str]) -> None:
    """Each reads an image that others replace, and learns from it."""
    seen = set()
    for _ in range(3):
        runs = [subprocess.Popen([sys.executable, "-m", "pktdiag", *argv], cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True, env=WRITING) for _ in range(3)]
        seen |= {(*run.communicate(timeout=60), run.returncode) for run in runs}
    assert len(seen) == 1, seen
    assert not [path for path in (copy / "pktdiag" / "__pycache__").iterdir() if path.suffix not in (".pyc", f".{IMAGE.rpartition('.')[2]}")]


def test_a_stub_is_found_wherever_it_went(copy: Path) -> None:
    script = ("from pktdiag.collect import mounts\nkept = mounts.unescape\nmounts.unescape = None\n"
              "assert image.stub_number(kept.__code__) >= 0\nprint(kept('/mnt/a' + chr(92) + '040b'))\n"
              "assert image.stub_number(kept.__code__) < 0\n")
    saved(copy, "made.missed += ['pktdiag.collect', 'pktdiag.collect.mounts']\nimage_making.save(made)\n")
    assert saved(copy, script).stdout == "/mnt/a b\n"


def test_a_track_brings_what_the_run_before_needed(copy: Path) -> None:
    for _ in range(3):
        from_image(copy)
    script = ("made.run_track('trace')\nbrought = set(sys.modules)\nassert 'pktdiag.cli.trace' in brought and not made.strays\n"
              "import pktdiag.cli.trace\nassert not made.strays and not made.missed\n"
              "(lambda p: p.write_text(p.read_text() + '\\n'))(__import__('pathlib').Path(image.FOLDER, 'cli', 'trace.py'))\n")
    saved(copy, script)
    stale = "made.run_track('trace')\nassert 'pktdiag.cli.trace' not in sys.modules and 'pktdiag.cli' not in sys.modules\n"
    saved(copy, stale)


TRACK = "made.run_track('trace')\nprint(*sorted(name for name in sys.modules if name.startswith('pktdiag')))"
WARM = "print(*sorted('.'.join(one) for one in made.tail()[1]['trace'][1]))"


@pytest.mark.parametrize("mistyped", [("trace", "127.0.0.1:9/udp", "--nonsense"), ("trace", "--help"), ("trace", "127.0.0.1:9/udq"),
                                      ("trace", "nobody:9", "127.0.0.1")])
def test_a_mistyped_command_costs_the_next_ones_nothing(copy: Path, mistyped: tuple[str, ...]) -> None:
    """Typer, near matches and their like would be read by every run to come."""
    for _ in range(3):
        run(copy, "trace", "127.0.0.1:9/udp")
    before = [saved(copy, script).stdout for script in (TRACK, WARM)]
    assert "pktdiag.cli.trace " in before[0] and "pktdiag.cli.app" not in before[0]
    for _ in range(3):
        run(copy, *mistyped)
    assert [saved(copy, script).stdout for script in (TRACK, WARM)] == before


def test_what_one_command_calls_sleeps_for_the_others(copy: Path) -> None:
    awake = ("made.run_track('trace')\nfunction = type(image.install)\n"
             "print(*(f'{module}.{name}:{image.stub_number(f.__code__) < 0}' for module, m in sorted(sys.modules.items())"
             " if module.startswith('pktdiag.') for name, f in vars(m).items() if type(f) is function and f.__module__ == module))")
    for _ in range(3):
        run(copy, "trace", "127.0.0.1:9/udp")
    before = saved(copy, awake).stdout
    for _ in range(3):
        run(copy, "topology")
    assert saved(copy, "print(len(made.tail()[1]))").stdout == "2\n"
    assert saved(copy, awake).stdout == before
    trace, topology = (dict(word.split(":") for word in text.split())
                       for text in (before, saved(copy, awake.replace("'trace'", "'topology'")).stdout))
    both = {(trace[name], topology[name]) for name in trace.keys() & topology.keys()}
    assert both >= {("True", "True"), ("True", "False"), ("False", "True")}


def test_a_track_that_many_have_added_to_is_begun_anew(copy: Path) -> None:
    for _ in range(3):
        run(copy, "trace", "127.0.0.1:9/udp")
    many = "made.tail()[1]['trace'] = (image_making.LESSONS, frozenset([('pktdiag.cli.fastlane', 'parse')]))\nmade.command = 'trace'\nimage_making.save(made)\n"
    saved(copy, many)
    assert saved(copy, "print(made.tracks, made.tail()[1], len(made.tail()[0]) > 100)").stdout == "{} {} True\n"
    run(copy, "trace", "127.0.0.1:9/udp")
    assert "pktdiag.cli.trace " in saved(copy, TRACK).stdout


def test_an_unknown_command_leaves_no_track(copy: Path) -> None:
    """Nor does it make an image over and over."""
    image = copy / "pktdiag" / "__pycache__" / IMAGE
    made = []
    for _ in range(3):
        run(copy, "nonsense")
        made.append(image.stat().st_mtime_ns)
    assert made[1] == made[2]
    assert saved(copy, "print(*made.tracks)").stdout.strip() == ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has line tables without columns")
def test_lines_stay_where_they_are(copy: Path) -> None:
    script = ("from pathlib import Path\n"
              "def same(one, two):\n"
              "    assert [x for x in one.co_lines()] and list(expanded(one)) == list(expanded(two)), one\n"
              "    [same(*pair) for pair in zip(one.co_consts, two.co_consts) if hasattr(pair[0], 'co_code')]\n"
              "def expanded(code):\n"
              "    return [line for start, end, line in code.co_lines() for _ in range(start, end, 2)]\n"
              "for path in Path(image.FOLDER).rglob('*.py'):\n"
              "    code = compile(path.read_text(), str(path), 'exec', dont_inherit=True)\n"
              "    same(code, image_making._without_columns(code))\n")
    saved(copy, script)


@pytest.mark.parametrize("argv", [["--help"], ["trace", "--help"], ["trace", "nonsense address"]])
def test_the_launcher_finds_site_packages_when_needed(argv: list[str]) -> None:
    launched = subprocess.run([sys.executable, "-I", "-S", ROOT / "pktdiag" / "launch.py", *argv], capture_output=True, text=True,
                              timeout=60, check=False)
    plain = subprocess.run([sys.executable, "-m", "pktdiag", *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (launched.returncode, launched.stdout, launched.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert launched.stdout + launched.stderr


COSTLY = {"os", "_collections_abc", "collections", "struct", "socket", "functools", "_functools", "itertools", "errno", "typing", "re", "enum", "json"}


def loaded(copy: Path, netns: str, *argv: str) -> set[str]:
    """The modules of a run that has learnt all it can."""
    place = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
    command = [*place, sys.executable, "-I", "-S", "-X", "importtime", copy / "pktdiag" / "launch.py", *argv]
    for _ in range(4):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=WRITING)
    assert "Traceback" not in done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_a_trace_needs_none_of_the_costly_modules(copy: Path) -> None:
    """Where ``site`` has not brought them in, ``os`` and what stands behind it stay out."""
    found = loaded(copy, "", "trace", "127.0.0.1:9/udp")
    assert "_socket" in found and not found & COSTLY


@pytest.mark.root
def test_nor_does_one_across_a_bridge_with_rules(copy: Path) -> None:
    made = Lab("costly")
    try:
        made.netns("src", "mid", "dst")
        for end in ("src", "dst"):
            made.wire(end, "eth0", "mid", end)
        made.sh("mid", "ip l add br0 type bridge; ip l set src master br0; ip l set dst master br0; ip l set br0 up; ip a add 198.51.100.254/24 dev br0;"
                     "iptables-nft -A FORWARD -i br0 -m conntrack --ctstate NEW -j ACCEPT; iptables-nft -t nat -A POSTROUTING -j MASQUERADE;"
                     "sysctl -qw net.bridge.bridge-nf-call-iptables=1")
        made.sh("src", "ip a add 198.51.100.1/24 dev eth0")
        made.sh("dst", "ip a add 198.51.100.2/24 dev eth0")
        found = loaded(copy, made.name("src"), "trace", "198.51.100.1", "198.51.100.2:80")
        assert "_ctypes" in found and not found & COSTLY
    finally:
        made.close()


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["trace", "--help"], ["trace", "--nonsense"], ["--nonsense"], ["completion", "bash"], []])
def test_typer_reads_the_same_out_of_the_image(copy: Path, argv: list[str]) -> None:
    """Annotations are not in the image: Typer must not depend on them."""
    command = [sys.executable, "-m", "pktdiag", *argv]
    runs = [subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=60, check=False, env=WRITING) for _ in range(4)]
    assert saved(copy, "print('pktdiag.cli.options' in made.tail()[0])").stdout == "True\n"
    assert {(run.returncode, run.stdout, run.stderr) for run in runs} == {(runs[0].returncode, runs[0].stdout, runs[0].stderr)}
