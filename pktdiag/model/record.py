"""``typing.NamedTuple`` at a tenth of its start-up cost; for the type checker it *is* ``typing.NamedTuple``.

``typing`` and ``collections`` cost 8 ms to import and every ``NamedTuple`` class another 0.15 ms, because its ``__new__`` is
compiled on the spot. A ``trace`` process defines a hundred of them and makes instances of forty. Here the constructor is
compiled only for classes that make many instances.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter

    _new_type = type.__new__
    _getters = [_tuplegetter(position, None) for position in range(40)]

    class _RecordType(type):
        """Turns annotated class attributes into tuple fields, as ``typing.NamedTupleMeta`` does. ``image_making`` leaves
        the fields' names in ``_fields`` instead."""

        def __new__(mcls, name, bases, namespace):
            if not bases:
                return _new_type(mcls, name, (tuple,), namespace)
            fields = namespace.get("_fields") or tuple(namespace.get("__annotations__") or _annotated(namespace))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            namespace.update(zip(fields, _getters))
            namespace["__slots__"] = ()
            namespace["_field_defaults"] = defaults
            namespace["_fields"] = namespace["__match_args__"] = fields
            return _new_type(mcls, name, bases, namespace)

    def _annotated(namespace):
        """Python 3.14 keeps annotations behind a function (PEP 649, PEP 749)."""
        annotate = namespace.get("__annotate__") or namespace.get("__annotate_func__")
        return annotate(4) if annotate is not None else ()  # 4: annotationlib.Format.STRING

    def _constructor(cls):
        """``__new__`` of one class, compiled as ``collections.namedtuple`` does it."""
        names = ", ".join(cls._fields)
        comma = "," if len(cls._fields) == 1 else ""
        made = eval(f"lambda _cls, {names}: _new(_cls, ({names}{comma}))", {"_new": tuple.__new__})
        made.__defaults__ = tuple(cls._field_defaults.values())
        return made

    _WORTH_COMPILING = 20

    def _complete(cls, values, named):
        """All values in field order; TypeError as the compiled constructor raises it."""
        rest = cls._fields[len(values):]
        if len(values) > len(cls._fields) or named.keys() - set(rest):
            return _constructor(cls)(cls, *values, **named)
        try:
            return (*values, *[named[field] if field in named else cls._field_defaults[field] for field in rest])
        except KeyError:
            return _constructor(cls)(cls, *values, **named)

    class NamedTuple(metaclass=_RecordType):
        """A tuple with named fields, given as annotations."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}
        _made = 0

        def __new__(cls, *values, **named):
            # Compiling costs as much as a hundred of these slow instances, and most classes make a handful in a run.
            cls._made += 1
            if cls._made > _WORTH_COMPILING:
                compiled = _constructor(cls)
                cls.__new__ = staticmethod(compiled)
                return compiled(cls, *values, **named)
            if len(values) != len(cls._fields) or named:
                values = _complete(cls, values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = tuple.__new__(type(self), map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"unexpected field names: {list(changes)!r}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in zip(self._fields, self))})"
