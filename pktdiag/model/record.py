"""``typing.NamedTuple`` at a tenth of its start-up cost; for the type checker it *is* ``typing.NamedTuple``.

``typing`` and ``collections`` cost 8 ms to import and every ``NamedTuple`` class another 0.15 ms, because its ``__new__`` is
compiled on the spot. A ``trace`` process defines a hundred of them and makes instances of forty. Here the constructor comes
compiled with the image (``image_making``), or is compiled when the first instance is made.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter

    _new_type = type.__new__
    _new_tuple = tuple.__new__
    _getters = [_tuplegetter(position, None) for position in range(40)]

    class _RecordType(type):
        """Turns annotated class attributes into tuple fields, as ``typing.NamedTupleMeta`` does: what it makes is a plain
        subclass of ``tuple``, so that nothing is looked up in a class between. ``image_pruning._record`` says the same as a
        class statement, which costs a fifth less."""

        def __new__(mcls, name, bases, namespace):
            if not bases:
                return _new_type(mcls, name, (tuple,), namespace)
            fields = tuple(namespace.get("__annotations__") or _annotated(namespace))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            namespace.update(zip(fields, _getters))
            namespace["__slots__"] = ()
            namespace["_field_defaults"] = defaults
            namespace["_fields"] = namespace["__match_args__"] = fields
            return _new_type(type, name, (tuple,), {"__new__": staticmethod(_first), **_METHODS, **namespace})

    def _annotated(namespace):
        """Python 3.14 keeps annotations behind a function (PEP 649, PEP 749)."""
        annotate = namespace.get("__annotate__") or namespace.get("__annotate_func__")
        return annotate(4) if annotate is not None else ()  # 4: annotationlib.Format.STRING

    def _constructor(cls):
        """``__new__`` of one class, compiled as ``collections.namedtuple`` does it."""
        names = ", ".join(cls._fields)
        comma = "," if len(cls._fields) == 1 else ""
        made = eval(f"lambda _cls, {names}: _new(_cls, ({names}{comma}))", {"_new": _new_tuple})
        made.__defaults__ = tuple(cls._field_defaults.values())
        return made

    def _first(cls, *values, **named):
        """Compiles the constructor when the first instance is made: most classes make none in a run."""
        cls.__new__ = staticmethod(_constructor(cls))
        return cls.__new__(cls, *values, **named)

    def _make(cls, values):
        made = _new_tuple(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, got {len(made)}")
        return made

    def _replace(self, /, **changes):
        made = _new_tuple(type(self), map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"unexpected field names: {list(changes)!r}")
        return made

    def _asdict(self):
        return dict(zip(self._fields, self))

    def _getnewargs(self):
        return tuple(self)

    def _repr(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in zip(self._fields, self))})"

    _METHODS = {"_make": classmethod(_make), "_replace": _replace, "_asdict": _asdict, "__getnewargs__": _getnewargs, "__repr__": _repr}

    class NamedTuple(metaclass=_RecordType):
        """A tuple with named fields, given as annotations."""

        getters, methods = _getters, tuple(_METHODS.values())
