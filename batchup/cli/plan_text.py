"""A plan as lines for a person."""

from collections.abc import Iterator, Sequence
from shutil import disk_usage

from batchup.cli.outlook import Outlook, budget_lines, time_line
from batchup.forecast import expected_s
from batchup.history import History
from batchup.manifest import Manifest
from batchup.manifest.quantities import format_bytes, format_guess, format_usd
from batchup.plan import TO_RUN, Action, Plan, Step
from batchup.terminal import columns, count, display_width, escape, row, shorten, table

EXAMPLES = 3
"""Names of what is left out for one reason."""

WIDE = 100
"""Columns from which on an output's name has room beside its input's."""


def plan_lines(
    plan: Plan, manifest: Manifest, history: History, outlook: Outlook, most: int | None
) -> Iterator[str]:
    """Yield a table of the tasks, the first *most* of them, and totals."""
    shown = [
        n
        for n, step in enumerate(plan.steps)
        if most is None or step.action is not Action.KEEP or step.detail
    ]
    told = shown[:most]
    if told:
        yield from _table(plan, told, history, outlook)
        if len(told) < len(shown):
            yield f"… and {len(shown) - len(told):,} more; --all shows every task"
        yield ""
    yield f"{manifest.name}: {count(len(plan.steps), 'task')}, {plan.to_run:,} to run, " + ", ".join(
        f"{number:,} {word}" for number, word in _others(plan)
    )
    yield from _skipped(plan, everything=most is None)
    yield from _totals(plan, outlook)
    if plan.to_run:
        unknown = f" and what {count(plan.urls, 'URL')} will need" if plan.urls else ""
        yield row(
            "disk",
            f"about {format_bytes(plan.output_bytes)}{unknown} needed, {format_bytes(free_bytes(manifest))} free",
        )


def _totals(plan: Plan, outlook: Outlook) -> Iterator[str]:
    # All steps are read for that, so only where it has to be.
    steps = plan.steps if plan.unpriced else ()
    unpriced = {step.task.model for step in steps if step.action in TO_RUN and step.cost_usd is None}
    for model, (number, price) in sorted(plan.models.items()):
        spell = outlook.forecast.models.get(model)
        known = spell is not None and spell.unknown < spell.tasks
        time = f", about {format_guess(spell.takes_s)}" if spell is not None and known else ""
        cost = format_usd(price) if price else "" if model in unpriced else "free"
        cost += f"{' and ' if cost else ''}of unknown price" if model in unpriced else ""
        yield row("model", f"{model}: {count(number, 'task')}, {cost}{time}")
    if plan.unpriced:
        yield row("price", f"unknown beforehand for {count(plan.unpriced, 'task')}")
    for line in budget_lines(outlook.coverage):
        yield row("budget", line)
    time = time_line(outlook)
    if time:
        yield row("time", time)
    if outlook.window:
        yield row("window", outlook.window)


def _skipped(plan: Plan, *, everything: bool) -> Iterator[str]:
    """Yield what is left out by reason, each with some of its names."""
    names: dict[str, list[str]] = {}
    for skipped in plan.left_out:
        listed = names.setdefault(skipped.reason, [])
        if everything or len(listed) < EXAMPLES:
            listed.append(skipped.label + (f": {skipped.detail}" if skipped.detail else ""))
    for reason, number in sorted(plan.skipped.items()):
        more = [f"and {number - EXAMPLES:,} more"] if number > EXAMPLES and not everything else []
        line = row("skipped", f"{number:,}  {reason}: {', '.join([*names[reason], *more])}")
        if not everything and line == _fitted(line):
            yield line
        else:
            yield row("skipped", f"{number:,}  {reason}")
            whole = (row("", f"   {name}") for name in [*names[reason], *more])
            yield from whole if everything else map(_fitted, whole)


def _others(plan: Plan) -> Iterator[tuple[int, str]]:
    yield plan.actions[Action.KEEP], "done"
    for action, word in (
        (Action.LEAVE, "waiting for you: failed, held or lost"),
        (Action.ATTACH, "in flight"),
        (Action.LATER, "for later"),
    ):
        if plan.actions[action]:
            yield plan.actions[action], word
    if plan.orphaned:
        yield plan.orphaned, "orphaned"


def _table(plan: Plan, numbers: Sequence[int], history: History, outlook: Outlook) -> list[str]:
    """Return the steps with these numbers; columns that say the same of all, or have no room, are left out."""
    room = columns()
    heads = ["input", "output", "model", "what", "price", "time"]
    rows = [
        _cells(plan.steps[number], outlook.coverage.waiting.get(number, ""), history) for number in numbers
    ]
    left_out = {head for head in ("model", "time") if len({row[heads.index(head)] for row in rows}) == 1}
    if room is not None and room < WIDE:
        left_out |= _spared(rows, heads, left_out, room)
    kept = [place for place, head in enumerate(heads) if head not in left_out]
    heads, rows = [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]
    return table(rows if room is None else _curt(rows, heads, room), heads, room)


def _spared(rows: Sequence[Sequence[str]], heads: Sequence[str], left_out: set[str], room: int) -> set[str]:
    """Return the columns that give way to names on a small screen, as few as will do: the totals tell of them."""
    widths = dict(zip(heads, _widths(rows, heads), strict=True))
    is_free = {row[heads.index("price")] for row in rows} <= {"", "free"}
    little = {"time"} | ({"price"} if is_free else set())
    for spared in (set[str](), little):
        kept = [width for head, width in widths.items() if head not in left_out | spared]
        if sum(kept) + 2 * (len(kept) - 1) <= room:
            return spared
    return little | {"output"}


def _widths(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> list[int]:
    cells = [[escape(cell) for cell in row] for row in rows]
    return [max(map(display_width, column)) for column in zip(heads, *cells, strict=True)]


def _curt(rows: Sequence[Sequence[str]], heads: Sequence[str], room: int) -> list[list[str]]:
    """Return *rows* with reasons that take no more than two fifths of *room* columns, if names need the rest."""
    widths, what = _widths(rows, heads), heads.index("what")
    others = sum(widths) - widths[what] + 2 * (len(heads) - 1)
    most = max(room * 2 // 5, room - others)
    return [
        [shorten(escape(cell), most) if place == what else cell for place, cell in enumerate(row)]
        for row in rows
    ]


def _cells(step: Step, waits: str, history: History) -> list[str]:
    detail = waits or step.detail
    time_s = expected_s(history.experience, step.task) if step.action is Action.RUN else None
    return [
        step.task.source.label,
        step.task.output,
        step.task.model,
        f"{step.reason}: {detail}" if detail else step.reason,
        _price(step),
        "" if time_s is None else format_guess(time_s),
    ]


def _price(step: Step) -> str:
    if step.action not in TO_RUN:
        return ""
    return "unknown" if step.cost_usd is None else format_usd(step.cost_usd) if step.cost_usd else "free"


def _fitted(line: str) -> str:
    room = columns()
    return line if room is None else shorten(line, room)


def free_bytes(manifest: Manifest) -> int:
    """Return what is free on the disk of the outputs."""
    folder = manifest.output_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return disk_usage(folder).free
