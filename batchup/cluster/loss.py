"""Loss: what happens to an attempt whose worker is gone."""


class Lost(Exception):  # noqa: N818 - what happened, and nobody's fault
    """Nothing will come of an attempt.

    Attributes:
        begun: Whether the worker had begun it.
        blameless: Whether it says nothing of what was to be done.
    """

    def __init__(self, *, begun: bool, blameless: bool = False) -> None:
        super().__init__("a worker was lost")
        self.begun, self.blameless = begun, blameless
