"""The contract: what the runner relies on when it spends somebody's money through a provider."""

from datetime import UTC, datetime
from decimal import Decimal

import anyio

from batchup.errors import GoneError, RejectedError, SubmissionUnknown
from batchup.providers.base import Provider, Request, Ticket
from batchup.testing.bench import Bench
from batchup.testing.failures import FailureContract
from batchup.testing.harness import raised
from batchup.testing.walk import Walk, beside, kept

AT_ONCE = 4
AWHILE_S = 0.1
LOOKS = 50
LOOK_EVERY_S = 0.1


class ProviderContract(FailureContract):
    """What is promised by :class:`batchup.providers.base.Provider`, as tests. Derive from it and say how to test.

    What :class:`batchup.testing.Bench` cannot cause is skipped, and so is what is promised only of durable providers.
    """

    # What it says of itself

    def test_what_it_is_does_not_change(self) -> None:
        """Whether it is durable, and its endpoints, are part of what tasks are."""

        async def case(bench: Bench, provider: Provider) -> None:
            model = bench.job(0).task.model
            async with bench.open() as other:
                for one in (provider, other):
                    told: tuple[object, ...] = one.durable, one.takes_urls, one.endpoint(model)
                    assert list(map(type, told)) == [bool, bool, str], told
                assert (provider.durable, provider.takes_urls) == (other.durable, other.takes_urls)
                assert provider.endpoint(model) == other.endpoint(model)

        self._run(case)

    def test_the_worst_can_be_tried_of_what_may_cost_money(self) -> None:
        """A durable provider that was never seen with a lost answer is not tested."""

        async def case(bench: Bench, provider: Provider) -> None:
            missing = self.NEEDED - set(bench.causes) if provider.durable else set()
            assert not missing, f"the bench cannot cause {sorted(missing)}"

        self._run(case)

    # One job

    def test_a_job_goes_from_its_input_to_its_output(self) -> None:
        """The output is whole, of the right size, alone, and the input is as it was."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = Walk(provider, bench.job(0))
            before, others = walk.job.file.read_bytes(), beside(walk.job.part)
            await provider.reach()
            size = (await walk.to("fetch")).check()
            assert walk.job.file.read_bytes() == before, "the input was changed"
            assert beside(walk.job.part) == others, "something was left beside the output"
            assert walk.completed is not None
            charged = walk.completed.charged_usd
            if charged is None:
                charged = provider.charged_usd(walk.job, walk.completed, size)
            assert type(charged) in {Decimal, type(None)}, charged
            assert charged is None or charged >= 0, charged
            assert provider.durable or not charged, "what costs money has to be durable"

        self._run(case)

    def test_what_becomes_durable_is_json_and_holds_no_secret(self) -> None:
        """The ledger has the request, the ticket and the result; anybody may read it."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = await Walk(provider, bench.job(0)).to("complete")
            for value in (walk.request, walk.ticket, walk.completed):
                assert kept(value) == value, f"it does not come back from the ledger: {value}"
                assert bench.secret not in repr(value) or not bench.secret, "it holds the key"
            if provider.durable:
                assert walk.request is not None
                assert walk.request.endpoint, "a request needs an endpoint to be found again"
                assert walk.ticket != Ticket(), "a ticket needs something to find the submission by"

        self._run(case)

    def test_a_job_is_accepted_once_and_only_by_submitting(self) -> None:
        """All other steps are free, and may be repeated."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = Walk(provider, bench.job(0))
            counts = []
            for step in ("prepare", "prepare", "submit", "complete", "complete", "fetch", "fetch"):
                await walk.take(step)
                counts.append(bench.accepted())
            walk.check()
            assert counts == ([0, 0, 1, 1, 1, 1, 1] if provider.durable else counts[:1] * 7), counts

        self._run(case)

    def test_completing_and_fetching_again_give_the_same(self) -> None:
        """Also where the output has been removed in between."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = await Walk(provider, bench.job(0)).to("fetch")
            first, (data, _) = walk.completed, walk.read()
            walk.job.part.unlink()
            assert await walk.take("complete") == first
            await walk.take("fetch")
            assert walk.read()[0] == data

        self._run(case)

    def test_several_jobs_at_once_do_not_meet(self) -> None:
        """Each has its own output."""

        async def case(bench: Bench, provider: Provider) -> None:
            walks = [Walk(provider, bench.job(number)) for number in range(AT_ONCE)]
            async with anyio.create_task_group() as group:
                for walk in walks:
                    group.start_soon(walk.to, "fetch")
            sizes = {walk.check() for walk in walks}
            assert len(sizes) == AT_ONCE or walks[0].job.task.size is None
            assert bench.accepted() == (AT_ONCE if provider.durable else 0)

        self._run(case)

    def test_an_input_that_is_gone_is_this_jobs_error(self) -> None:
        """It concerns no other job."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = Walk(provider, bench.job(0))
            walk.job.file.unlink()
            error = await raised(lambda: walk.to("fetch"))
            told = isinstance(error, OSError) and error.filename is not None
            assert told or isinstance(error, RejectedError), repr(error)
            assert bench.accepted() == 0

        self._run(case)

    def test_a_cancelled_job_can_be_taken_up_again(self) -> None:
        """Cancellation is never swallowed, and nothing is lost or submitted by it."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = await Walk(provider, bench.job(0)).to("submit")
            for wait_s in (0.0, 0.02, 0.2):
                with anyio.move_on_after(wait_s) as scope:
                    await walk.take("complete")
                    await anyio.sleep(LOOKS)
                assert scope.cancelled_caught
            (await walk.to("fetch")).check()
            assert bench.accepted() == (1 if provider.durable else 0)

        self._run(case)

    def test_a_cancelled_call_ends_at_once(self) -> None:
        """Who wants to leave at once does not wait for the work, which goes on without us."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = Walk(provider, bench.job(0))
            await walk.to("prepare")
            cause = bench.causes.get(("complete", "slow"))
            self._skip_unless(cause is not None, "the bench cannot cause it")
            assert cause is not None
            cause(walk.job)
            await walk.to("submit")
            began_s = anyio.current_time()
            with anyio.move_on_after(AWHILE_S):
                await walk.take("complete")
            late_s = anyio.current_time() - began_s - AWHILE_S
            assert late_s < self.PROMPT_S, f"it went on for {late_s:.1f} s"
            assert walk.completed is None

        self._run(case)

    # A later run

    def test_a_later_run_collects_what_an_earlier_one_submitted(self) -> None:
        """By nothing but the ticket, and later by nothing but the result."""

        async def case(bench: Bench, provider: Provider) -> None:
            self._skip_unless(provider.durable, "nothing of it outlives the process")
            walk = await Walk(provider, bench.job(0)).to("submit")
            async with bench.open() as second:
                later = await Walk(second, walk.job, walk.request, kept(walk.ticket)).to("complete")
            async with bench.open() as third:
                last = Walk(third, walk.job, walk.request, walk.ticket, kept(later.completed))
                (await last.to("fetch")).check()
            assert bench.accepted() == 1

        self._run(case)

    def test_what_was_never_submitted_is_not_found(self) -> None:
        """Another's submission would be another's picture."""

        async def case(bench: Bench, provider: Provider) -> None:
            self._skip_unless(provider.durable, "nothing of it is ever lost")
            await Walk(provider, bench.job(0)).to("submit")
            other = await Walk(provider, bench.job(1)).to("prepare")
            assert other.request is not None
            assert await _found(provider, other.request, datetime.now(UTC)) is None
            assert bench.accepted() == 1

        self._run(case)

    def test_a_submission_whose_answer_was_lost_is_told_so_and_found(self) -> None:
        """It may have been paid: it is looked for, and never sent again blindly."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk, sent_at = Walk(provider, bench.job(0)), datetime.now(UTC)
            error = await self._meets(bench, walk, "submit", "lost")
            assert isinstance(error, SubmissionUnknown), repr(error)
            assert bench.accepted() == 1, "it was sent again"
            assert walk.request is not None
            async with bench.open() as later:
                request = kept(walk.request)
                if not bench.remembers:
                    gone = await raised(lambda: later.find(request.endpoint, request.body, sent_at))
                    assert isinstance(gone, GoneError), repr(gone)
                    return
                ticket = await _found(later, request, sent_at, looks=LOOKS)
                assert ticket is not None, "the other side has it, and it is not found"
                (await Walk(later, walk.job, walk.request, ticket).to("fetch")).check()
            assert bench.accepted() == 1

        self._run(case)


async def _found(provider: Provider, request: Request, sent_at: datetime, looks: int = 1) -> Ticket | None:
    """Return what the other side knows of a request, which it may know a moment later; None where it says nothing."""
    for _ in range(looks):
        try:
            ticket = await provider.find(request.endpoint, request.body, sent_at)
        except GoneError:
            return None
        if ticket is not None:
            return ticket
        await anyio.sleep(LOOK_EVERY_S)
    return None
