"""The engine: the coordinator's side of a cluster. Has errands run on workers, and tells apart what became of them."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from batchup.aside import aside
from batchup.cluster.call import PREFIX, REVOKE, Call, Outcome, pack, perform, unpack
from batchup.cluster.carriage import Carriage
from batchup.cluster.loss import Lost
from batchup.cluster.members import Kind, Member, Members
from batchup.errors import SubmissionUnknown, TransientError

CLEAR_S = 2.0
"""How long a worker may take to remove what it was brought."""

LACKING = frozenset({"not_installed", "weights_changed", "weights_unusable", "no_device", "heic_unsupported"})
"""Classes of failures that say what a machine has not got: another may have it."""

LOST = 3
"""Workers that one errand may take down with it before it is told as failed."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that a worker is to do.

    Attributes:
        step: See :class:`batchup.cluster.call.Call`, likewise *name* and *memory_bytes*.
        arguments: Makes the step's arguments from the places of its files, by their names here, on the worker.
        reads: Files that it reads, on this machine.
        writes: Files that it writes, which are there when it has succeeded.
        scratch: Names of files that it may write meanwhile.
        kind: What it takes of a worker.
        label: What the worker must have beside.
        needs: Tells means that a worker may lack, such as a network's weights, from those of other errands.
        account: Whether it needs the account's key.
        may_cost: Whether it may be paid once it has been claimed.
        tell: Hears how far it is, 0.0 to 1.0.
    """

    step: str
    name: str
    arguments: Callable[[Mapping[str, str]], tuple[Any, ...]]
    reads: Mapping[str, Path] = field(default_factory=dict)
    writes: Mapping[str, Path] = field(default_factory=dict)
    scratch: tuple[str, ...] = ()
    memory_bytes: int = 0
    kind: Kind = "work"
    label: str = ""
    needs: tuple[str, ...] = ()
    account: bool = False
    may_cost: bool = False
    tell: Callable[[float], None] | None = None

    def fits(self, member: Member) -> bool:
        """Return whether *member* may do it at all."""
        has_label = not self.label or self.label in member.labels
        return has_label and (member.has_account or not self.account)


@dataclass(eq=False, slots=True)
class _Flight:
    """One attempt under way.

    Attributes:
        tell: See :class:`Errand`.
        over: Set when it is done, or will never be.
        result: What it is done with.
    """

    member: Member
    tell: Callable[[float], None] | None
    over: anyio.Event = field(default_factory=anyio.Event)
    result: bytes = b""


class Engine:
    """Runs errands on the workers of one cluster. Made by :func:`batchup.cluster.connection.open_engine`."""

    def __init__(self, client: Any, fence: str, run: str, scratch: Path, tell: Callable[[str], None]) -> None:
        """Take what it works with.

        Args:
            client: Dask's, connected.
            fence: Name of its scheduler's fence.
            run: Name of this run, never used before.
            scratch: Folder for what workers write, on the disk of the outputs.
            tell: Called with what a person wants to know.
        """
        self.members = Members()
        self._client, self._fence, self._run, self._scratch = client, fence, run, scratch
        self._tell = tell
        self._flights: dict[str, _Flight] = {}
        self._count = 0

    async def do(self, errand: Errand) -> Any:
        """Have an errand done and return what came of it; its files are in their places then.

        Raises:
            TaskError: As the step raised it. SubmissionUnknown: it may have been begun, and paid. TransientError,
                ``worker_died``: it is free, and each worker that was given it was lost. NotSentError, ``no_worker``:
                there is none, and it may cost money or the run ends.
            FatalError: As the step raised it.
            OSError: Likewise, or a file cannot be read or written here.
        """
        lost = 0
        while lost < LOST:
            # On the ledger it is under way already: nobody knows later that it was never sent.
            member = await self.members.take(
                errand.kind, errand.label, partial(self._fits, errand), waits=not errand.may_cost
            )
            self._count += 1
            attempt = f"{PREFIX}{self._run}-{self._count}"
            try:
                return await self._given(member, attempt, errand)
            except Lost as loss:
                # Whose worker is gone before it began had no part in that.
                lost += not loss.blameless and (loss.begun or member in self.members)
            finally:
                self.members.give_back(member, errand.kind, errand.label)
        raise TransientError(f"{lost} workers in a row were lost over it", kind="worker_died")

    async def _given(self, member: Member, attempt: str, errand: Errand) -> Any:
        """Give an errand to a worker and return what came of it.

        Raises:
            Lost: Nothing will come of it.
        """
        carriage = None if member.shares else Carriage(self._client.rpc(member.address), attempt)
        flight = self._flights[attempt] = _Flight(member, errand.tell)
        future = None
        try:
            if carriage is not None:
                for name, file in errand.reads.items():
                    await carriage.send(name, file)
            call = self._call(member, attempt, errand)
            future = self._client.submit(
                perform,
                pack(call),
                key=attempt,
                workers=[member.address],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            outcome = await self._outcome(attempt, flight, errand)
            _check_disk(member, outcome, errand)
            self._check_means(member, outcome, errand)
            value = outcome.get()
            for name, written, file in zip(errand.writes, call.writes, errand.writes.values(), strict=False):
                await self._put(carriage, name, Path(written), file)
            return value
        finally:
            del self._flights[attempt]
            if future is not None:
                future.release()  # The fence forgets it, and the worker stops if it is still at it.
            if carriage is not None and member in self.members:
                with anyio.move_on_after(CLEAR_S, shield=True):
                    await carriage.clear()

    def _fits(self, errand: Errand, member: Member) -> bool:
        """Return whether *member* may do an errand: one without the means for it only where all are."""
        if not errand.fits(member):
            return False
        return errand.needs not in member.lacks or not self._is_met(errand)

    def _is_met(self, errand: Errand) -> bool:
        """Return whether any worker may have the means for an errand."""
        return any(errand.fits(one) and errand.needs not in one.lacks for one in self.members)

    def _check_means(self, member: Member, outcome: Outcome, errand: Errand) -> None:
        """Tell what a worker has not got from what is wrong with a task.

        Raises:
            Lost: Another worker may have it.
        """
        if outcome.attributes.get("kind") not in LACKING or not errand.needs:
            return
        is_new = errand.needs not in member.lacks
        member.lacks.add(errand.needs)
        if self._is_met(errand):
            if is_new:
                self._tell(f"worker {member.address} gets no more of this work: {outcome.details[0]}")
            raise Lost(begun=False, blameless=True)

    def _call(self, member: Member, attempt: str, errand: Errand) -> Call:
        away, written = Path(member.folder) / attempt, (*errand.writes, *errand.scratch)
        if member.shares:
            reads = {name: str(file) for name, file in errand.reads.items()}
            writes = {name: str(self._scratch / f"{attempt}-{name}") for name in written}
        else:
            reads, writes = ({name: str(away / name) for name in names} for names in (errand.reads, written))
        return Call(
            attempt,
            errand.step,
            errand.name,
            errand.arguments({**reads, **writes}),
            errand.memory_bytes,
            stoppable=not errand.may_cost,
            tells=errand.tell is not None,
            writes=tuple(writes.values()),
        )

    async def _outcome(self, attempt: str, flight: _Flight, errand: Errand) -> Outcome:
        """Wait for the outcome of an attempt.

        Raises:
            Lost: There is none, and it is free or was never begun.
            SubmissionUnknown: There is none, and it may have been paid.
        """
        await flight.over.wait()
        state, result = "done", flight.result
        if not result:
            state, result = await self._revoked(attempt)
        if state == "done":
            outcome: Outcome = unpack(result)
            return outcome
        if state in {"claimed", "unknown"} and errand.may_cost:
            raise SubmissionUnknown(
                f"worker {flight.member.address} was lost while it submitted", kind="worker_lost"
            )
        raise Lost(begun=state == "claimed")

    async def _revoked(self, attempt: str) -> tuple[str, bytes]:
        """Return how far an attempt is, which nobody can claim any more, and its result."""
        try:
            state, result = await getattr(self._client.scheduler, REVOKE)(attempt=attempt, fence=self._fence)
        # Dask's error of a closed connection is an OSError, too, which must not be taken for the disk's.
        except OSError:
            return "unknown", b""
        return state, result

    async def _put(self, carriage: Carriage | None, name: str, written: Path, file: Path) -> None:
        """Bring what a worker has written to where it belongs."""
        if carriage is not None:
            written = self._scratch / f"{file.name}-{name}"
            await carriage.bring(name, written)
        try:
            await aside(written.replace, file)
        except FileNotFoundError as error:
            message = f"a worker says that it has written {written}, and it cannot be seen here"
            raise TransientError(message, kind="output_missing") from error

    async def heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Take in what the scheduler tells of this run's attempts."""
        _, told = event
        flight = self._flights.get(told["attempt"])
        if flight is None:
            return
        if "told" in told:
            if flight.tell is not None:
                flight.tell(told["told"])
        else:
            flight.result = told.get("result", b"")
            flight.over.set()

    def gone(self, address: str) -> bool:
        """Take in that a worker is gone; return whether it was known."""
        known = self.members.gone(address)
        for flight in self._flights.values():
            if flight.member.address == address:
                flight.over.set()
        return known


def _check_disk(member: Member, outcome: Outcome, errand: Errand) -> None:
    """Tell trouble with a disk of the worker's own from trouble with one that it shares.

    Raises:
        Lost: It sees the outputs and not the input: that has to be brought, from now on.
        TransientError: It has trouble with its own disk.
    """
    if outcome.error != "OSError":
        return
    number, message, file = outcome.details
    if not member.shares:
        raise TransientError(
            f"worker {member.address} has trouble with its disk: {message}", kind="worker_refused"
        )
    if number == errno.ENOENT and file in map(str, errand.reads.values()):
        member.shares = False
        raise Lost(begun=False, blameless=True)
