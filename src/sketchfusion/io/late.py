"""Import large libraries in part, since most of what they bring is never used here.

`from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL` first runs the package
`diffusers.models.autoencoders`, which imports every autoencoder of the library. A late package gives its modules
without running; whoever asks it for anything else gets what it would have given at once.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class LatePackage(ModuleType):
    """A package that runs once, when it is asked for a name that is not there yet."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name)
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__path__, self.__package__ = list(spec.submodule_search_locations), name
        self._loader, self._lock = spec.loader, RLock()

    def __getattr__(self, name: str) -> Any:
        """Run the package and give its name; AttributeError if it has no such name."""
        if name.startswith("__"):  # the import system asks for these, which says nothing of use
            raise AttributeError(name)
        with self._lock:
            loader, self._loader = self._loader, None
            if loader:
                loader.exec_module(self)
        if name not in self.__dict__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return self.__dict__[name]


def make_late(*names: str) -> None:
    """Make packages late that are installed but not imported; their parents are imported."""
    for name in names:
        with suppress(ModuleNotFoundError):  # of a parent
            spec = None if name in sys.modules else find_spec(name)
            if spec and spec.loader:
                sys.modules[name] = LatePackage(name, spec)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Do not import the compiler behind `torch.compile`, which takes a second, for what libraries do inside.

    They import it to mark functions that it should not look into. Of these marks, only `disable` has an effect later.
    """
    spec = None if COMPILER in sys.modules else find_spec(COMPILER)
    if spec is None:
        yield
        return
    stand_in = ModuleType(COMPILER)
    stand_in.__spec__, stand_in.__path__ = spec, list(spec.submodule_search_locations or ())

    def disable(function: Callable[..., Any] | None = None, recursive: bool = True, **options: Any) -> Any:
        if function is None:
            return lambda other: disable(other, recursive, **options)

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            compiler = sys.modules.get(COMPILER, stand_in)  # nothing is compiled before the compiler is there
            run = function if compiler is stand_in else compiler.disable(function, recursive, **options)
            return run(*arguments, **named)

        return call

    marks = {"disable": disable, "allow_in_graph": lambda function: function}
    stand_in.__dict__.update(marks, assume_constant_result=marks["allow_in_graph"])
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        del sys.modules[COMPILER]
