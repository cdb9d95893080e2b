"""A pool whose processes are on other machines: takes the place of a local one, for work and for examinations."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from batchup.cluster.engine import Engine, Errand
from batchup.errors import NotSentError
from batchup.providers.local.pool import Pool
from batchup.providers.local.work import Work

GPU = "GPU"
"""Label of workers that are given what needs a device, if there are any: ``dask worker --resources GPU=1``."""


class ClusterPool(Pool):
    """Has functions called by workers."""

    def __init__(self, here: Pool, engine: Engine) -> None:  # it has no processes of its own
        """Take where functions are called.

        Args:
            here: For what concerns files that only this machine sees.
            engine: For everything else.
        """
        self._here, self._engine = here, engine

    async def call(
        self,
        function: str,
        argument: msgspec.Struct | Mapping[str, Any],
        *,
        memory_bytes: int = 0,
        tell: Callable[[float], None] | None = None,
        note: Callable[[str], None] = lambda _: None,
        home: str = "",
    ) -> Any:
        """See :meth:`batchup.providers.local.pool.Pool.call`; *memory_bytes* are compared with the worker's memory."""
        members = self._engine.members
        work = argument if isinstance(argument, Work) else None

        async def call_here() -> Any:
            return await self._here.call(
                function, argument, memory_bytes=memory_bytes, tell=tell, note=note, home=home
            )

        # An output that is there, and perhaps paid, waits for no worker to be looked at.
        if work is None and not (len(members) and all(member.shares for member in members)):
            return await call_here()

        def heard(told: float | str) -> None:
            if isinstance(told, str):
                note(told)
            elif tell:
                tell(told)

        def arguments(places: Mapping[str, str]) -> tuple[Any, ...]:
            return (replace(work, **places) if work else argument, home)

        errand = Errand(
            "pool",
            function,
            arguments,
            reads={"source": Path(work.source)} if work else {},
            writes={"output": Path(work.output)} if work else {},
            memory_bytes=memory_bytes,
            label=GPU if home and members.has_label(GPU) else "",
            needs=_needs(function, work) if work else (),
            tell=heard if work else None,
        )
        try:
            return await self._engine.do(errand)
        except NotSentError:
            if work is not None:
                raise
            return await call_here()


def _needs(function: str, work: Work) -> tuple[str, ...]:
    """Return what a worker may have no means for: the function's library, a network, a device, a format."""
    given = (str(work.params.get(name, "")) for name in ("weights", "device"))
    return (function, *given, Path(work.source).suffix.lower())
