"""Networks that are loaded: the last few of a worker process, so that tasks that alternate load nothing anew."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from batchup.errors import RejectedError
from batchup.models.superres.params import NetworkParams
from batchup.models.superres.weights import Files, WeightsError, reopen
from batchup.providers.local.superres.tiles import Network

MOST = 4
"""More than a manifest usually has; each takes up to some 100 MB."""

Found = TypeVar("Found", bound=Network)


class Loaded(Generic[Found]):
    """Loads networks, and keeps the :data:`MOST` that were used last.

    Args:
        load: Takes a network's files and ``params.device``. It raises RejectedError or WeightsError.
    """

    def __init__(self, load: Callable[[Files, str | int], Found]) -> None:
        self._load = load
        self._networks: OrderedDict[tuple[str | None, str | int], Found] = OrderedDict()

    def get(self, params: NetworkParams) -> Found:
        """Return the network that a task was planned with.

        Raises:
            RejectedError: Its files are gone or have changed (``weights_changed``), or it cannot be run.
        """
        key = params.sha256, params.device
        if key not in self._networks:
            while len(self._networks) >= MOST:
                self._networks.popitem(last=False)
            self._networks[key] = self._load(self._files(params), params.device)
        self._networks.move_to_end(key)
        return self._networks[key]

    def _files(self, params: NetworkParams) -> Files:
        try:
            assert params.models_dir  # a task's parameters are settled
            assert params.sha256
            return reopen(params.engine.library, params.weights, params.models_dir, params.sha256)
        except WeightsError as error:
            raise RejectedError(str(error), kind="weights_changed") from error
