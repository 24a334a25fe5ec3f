"""Analyses that contexts under different limits have in common: computed when first asked for, once for all of them."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class shared(Generic[T]):
    """`functools.cached_property`, of an object whose copies have the same dictionary `found`."""

    def __init__(self, compute: Callable[[Any], T]):
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "shared[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> "shared[T] | T":
        if instance is None:
            return self
        if self._name not in instance.found:
            instance.found[self._name] = self._compute(instance)
        found: T = instance.found[self._name]
        return found
