"""Failures: how a provider says what went wrong on the other side."""

from datetime import UTC, datetime

from batchup.errors import (
    BatchupError,
    FatalError,
    GoneError,
    NotSentError,
    RateLimitedError,
    RejectedError,
    RunFailedError,
    TransientError,
)
from batchup.providers.base import Provider
from batchup.testing.bench import Bench, Fault, Step
from batchup.testing.harness import Harness
from batchup.testing.walk import Walk


class FailureContract(Harness):
    """Every failure is in the branch that says what happens next."""

    def test_reaching_nobody_is_told_as_nothing_sent(self) -> None:
        """A run waits then, until there is somebody."""
        self._fails("reach", "unreachable", NotSentError)

    def test_a_submission_without_a_connection_was_not_sent(self) -> None:
        """It is sent again, whatever it costs."""
        self._fails("submit", "unreachable", NotSentError)

    def test_a_submission_that_is_to_wait_waits(self) -> None:
        """That is no failure."""
        self._fails("submit", "busy", RateLimitedError)

    def test_a_refused_account_ends_the_run(self) -> None:
        """Every other submission would be refused as well."""
        self._fails("submit", "account", FatalError, passes=False)

    def test_a_refused_input_is_given_up(self) -> None:
        """It is refused again tomorrow."""
        self._fails("submit", "rejected", RejectedError, passes=False)

    def test_a_preparation_that_fails_may_be_repeated(self) -> None:
        """It is free."""
        self._fails("prepare", "broken", TransientError)

    def test_an_error_of_asking_is_none_of_the_work(self) -> None:
        """The work goes on, and is asked for again: no new submission."""
        self._fails("complete", "broken", TransientError, but=RunFailedError)

    def test_asking_that_is_to_wait_waits(self) -> None:
        """As submitting."""
        self._fails("complete", "busy", RateLimitedError)

    def test_work_that_came_to_nothing_needs_a_new_submission(self) -> None:
        """Asking again would be of no use."""
        self._fails("complete", "failed", RunFailedError, passes=False)

    def test_work_that_can_come_to_nothing_else_is_given_up(self) -> None:
        """A new submission would be of no use either."""
        self._fails("complete", "rejected", RejectedError, passes=False)

    def test_a_forgotten_submission_may_have_been_paid(self) -> None:
        """A person decides, or it is cheap."""
        self._fails("complete", "forgotten", GoneError, passes=False)

    def test_an_output_that_does_not_come_is_fetched_again(self) -> None:
        """It was paid for."""
        self._fails("fetch", "broken", TransientError)

    def test_an_output_that_is_gone_is_told_so(self) -> None:
        """It was paid for, too."""
        self._fails("fetch", "expired", GoneError, passes=False)

    def test_a_history_that_cannot_be_asked_now_is_asked_again(self) -> None:
        """Only who can never be asked is given up."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = await Walk(provider, bench.job(0)).to("prepare")
            cause = bench.causes.get(("find", "broken"))
            self._skip_unless(cause is not None, "the bench cannot cause it")
            assert cause is not None
            assert walk.request is not None
            cause(walk.job)
            try:
                assert (
                    await provider.find(walk.request.endpoint, walk.request.body, datetime.now(UTC)) is None
                )
            except TransientError:
                return

        self._run(case)

    def _fails(
        self,
        step: Step,
        fault: Fault,
        wanted: type[BatchupError],
        *,
        but: type[BatchupError] = FatalError,
        passes: bool = True,
    ) -> None:
        """Assert that *fault* at *step* is raised as *wanted*, and does no harm where it *passes*."""

        async def case(bench: Bench, provider: Provider) -> None:
            walk = Walk(provider, bench.job(0))
            error = await self._meets(bench, walk, step, fault)
            right = isinstance(error, wanted) and (wanted is FatalError or not isinstance(error, but))
            assert right, f"{fault} at {step} has to be a {wanted.__name__}: {error!r}"
            assert str(error), "it says nothing"
            assert not bench.secret or bench.secret not in str(error), "it tells the key"
            is_sent = step in {"complete", "fetch"}
            assert bench.accepted() == (1 if provider.durable and is_sent else 0)
            if passes:
                await walk.take(step)
                (await walk.to("fetch")).check()
                assert bench.accepted() == (1 if provider.durable else 0), "it was submitted again"

        self._run(case)
