"""What a plan tells: each task with its reason, the money, the time, and all that on a small screen."""

import pytest

from batchup.cli.outlook import foretold, look_ahead
from batchup.history import History
from batchup.manifest import load
from batchup.manifest.quantities import usd
from batchup.plan import EXPIRED, Choice
from batchup.survey import survey
from batchup.terminal import display_width
from tests.cli.told import FAL, NOW, Job, failed, held, submitted, submitting


@pytest.fixture
def job(tmp_path, call):
    return Job(tmp_path, call)


def item(job, name, *options):
    return next(one for one in job.plan(*options)["items"] if one["input"] == f"photos/{name}")


def test_a_task_that_nobody_has_seen_is_new(job):
    job.photo("a.png")

    assert item(job, "a.png") == {
        "input": "photos/a.png", "output": "a.png", "model": "fal/topaz-image", "action": "run", "reason": "new",
        "detail": "", "cost": 0.08, "expected_s": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "action", "reason"),
    [
        ((), "run", "pending"),
        (
            (submitting, failed("content_policy_violation")),
            "leave",
            "failed before: content_policy_violation",
        ),
        ((submitting, held), "leave", "held"),
        ((submitting,), "attach", "in flight"),
        ((submitting, submitted), "attach", "in flight"),
        ((submitting, submitted, failed(EXPIRED)), "leave", "lost"),
    ],
    ids=["never begun", "failed", "held", "perhaps sent", "accepted", "paid and expired"],
)
def test_a_task_that_an_earlier_run_knew_is_told_with_what_became_of_it(job, told, action, reason):
    job.photo("a.png")
    job.remember(a=told)

    assert (item(job, "a.png")["action"], item(job, "a.png")["reason"]) == (action, reason)


def test_one_that_is_to_be_tried_again_says_what_it_had_failed_of(job):
    job.photo("a.png")
    job.remember(a=(submitting, failed("timeout")))

    assert item(job, "a.png", "--retry-failed")["reason"] == "failed before: timeout; tried again"


def test_a_held_one_says_what_is_done_about_it(job):
    job.photo("a.png")
    job.remember(a=(submitting, held))

    assert item(job, "a.png")["detail"] == "looked for once more; --resubmit-held submits it again"


def test_a_changed_input_is_told_from_changed_parameters_and_these_from_another_model(job):
    job.photo("a.png")
    job.photo("b.png", 20)
    job.remember()

    job.photo("a.png", 24)
    first = job.reasons()
    job.write(f"{FAL[:-1]}, upscale_factor: 3}}")

    assert first == {"a.png": "input changed", "b.png": "pending"}
    assert job.reasons()["b.png"] == "parameters changed"
    job.write("matrix: {model: [local/lanczos]}")
    assert job.reasons()["b.png"] == "model changed"


def test_what_is_done_is_told_so(tmp_path, call):
    job = Job(tmp_path, call, "model: local/lanczos")
    job.photo("a.png")
    assert call("run", job.file, "-q").status == 0

    assert job.reasons() == {"a.png": "done"}
    (tmp_path / "out/a.png").unlink()
    assert job.reasons() == {"a.png": "output missing"}


def test_what_is_skipped_says_why(job):
    for number, name in enumerate(["a.png", "wide.png", "ruled/b.png", "out.png"]):
        job.photo(name, 200 if name == "wide.png" else 16 + number)
    (job.folder / "photos/notes.txt").write_text("hi")
    job.write(
        f"{FAL}\ninputs: [{{path: photos, max_width: 100, exclude: [out.png]}}]\n"
        "rules: [{match: {path: 'ruled/**'}, skip: true}]"
    )

    assert job.reasons() == {
        "a.png": "new",
        "wide.png": "skipped: filter: max_width",
        "ruled/b.png": "skipped: skipped by a rule",
        "notes.txt": "skipped: no image or video",
        "out.png": "skipped: excluded",
    }
    text = job.text()
    assert "skipped   1  filter: max_width: photos/wide.png" in text
    assert "skipped   1  skipped by a rule: photos/ruled/b.png: rule 1" in text


def test_duplicate_contents_are_paid_once(job):
    job.photo("a.png")
    job.photo("b.png")

    document = job.plan()

    assert [one["reason"] for one in document["items"]] == ["new", "same contents as another"]
    assert document["items"][1]["detail"] == "photos/a.png"
    assert document["cost_usd"]["estimated"] == 0.08


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--limit", "1"), "beyond --limit"),
        (("--sample", "1"), "beyond --sample"),
        (("--only", "a.png"), "not chosen by --only"),
    ],
    ids=["limit", "sample", "only"],
)
def test_what_is_left_for_later_says_by_which_option(job, options, reason):
    job.photo("a.png")
    job.photo("b.png", 40)

    assert item(job, "b.png", *options)["reason"] == reason
    assert job.plan(*options)["tasks"]["later"] == 1


def test_two_inputs_with_one_name_are_told_with_the_template_that_keeps_them_apart(job):
    job.photo("a.png")
    job.photo("a.webp", 20)

    status, out, err = job.call("plan", job.file)

    assert (status, out) == (2, "")
    assert "photos/a.png (fal/topaz-image) and photos/a.webp (fal/topaz-image)" in err
    assert "{dir}/{stem}-{source_ext}{ext}" in err


def test_a_budget_is_told_with_what_it_covers_and_who_waits(job):
    for number in range(5):
        job.photo(f"{number}.png", 16 + number)
    job.write(f"{FAL}\nrun: {{budget: 0.25 USD, limits: {{fal/topaz-image: {{budget: 1 USD}}}}}}")

    document = job.plan()

    assert document["budget"] == {
        "cap_usd": 0.25, "left_usd": 0.25, "covers": 3, "of": 5,
        "models": {"fal/topaz-image": {"cap_usd": 1.0, "left_usd": 1.0, "covers": 3, "of": 5}},
    }  # fmt: skip
    assert [one["detail"] for one in document["items"]] == [*[""] * 3, *["waits for the budget"] * 2]
    assert "the budget of 0.25 USD covers 3 of 5 tasks" in job.text()
    assert job.plan("--budget", "9 USD")["budget"]["covers"] == 5


def test_what_is_in_flight_and_held_takes_from_the_budget(job):
    for number in range(5):
        job.photo(f"{number}.png", 16 + number)
    job.remember(**{"0": (submitting, held), "1": (submitting, submitted)})

    assert "the budget of 0.25 USD (0.090 USD of it left) covers 1 of 3 tasks" in job.text("--budget", "0.25")


def test_no_budget_is_no_coverage(job):
    job.photo("a.png")

    assert job.plan()["budget"] is None
    assert "budget" not in job.text()


def test_time_is_unknown_until_something_was_run(job):
    job.photo("a.png")

    assert job.plan()["time"]["expected_s"] is None
    assert "time      unknown: nothing was run with fal/topaz-image yet" in job.text()


def test_time_is_told_a_task_a_model_and_in_all_once_it_was_learned(tmp_path, call):
    job = Job(tmp_path, call, "model: local/lanczos\nrun: {window: '22:00-07:00'}")
    job.photo("a.png")
    assert call("run", job.file, "-q", "--ignore-window").status == 0
    for number in range(4):
        job.photo(f"{number}.png", 20 + number)

    document, text = job.plan("--concurrency", "2"), job.text("--concurrency", "2")

    each = [one["expected_s"] for one in document["items"] if one["action"] == "run"]
    assert len(each) == 4
    assert all(one and one > 0 for one in each)
    assert document["time"]["expected_s"] == pytest.approx(sum(each) / 2)
    assert document["models"]["local/lanczos"]["expected_s"] == document["time"]["expected_s"]
    assert "at 2 at a time" in text
    assert "window    22:00-07:00 local time: the window is " in text


HARD = [
    "very-long-name-" * 15 + ".png",
    "日本語のとても長い名前" * 4 + ".png",
    "a\x1b[2J\nb\u202ec.png",
    "e\u0301" * 60 + ".png",
]


@pytest.mark.parametrize("columns", [80, 60, 120])
def test_the_table_fits_the_terminal_whatever_the_names(job, monkeypatch, columns):
    for number, name in enumerate(HARD):
        job.photo(name, 16 + number)
        job.photo(f"copies/{name}", 16 + number)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))

    text = job.text("--budget", "0.1 USD")

    table = text.split("\n\n")[0].splitlines()
    assert len(table) == 1 + 8
    assert max(map(display_width, table)) <= columns
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert table[1].endswith("0.080 USD")


def test_names_keep_the_room_of_a_small_terminal_whatever_else_is_known(tmp_path, call, monkeypatch):
    job = Job(tmp_path, call, "model: local/lanczos")
    name = "as phones name pictures, with " + "a long story of every kind " * 3
    for number in range(3):
        job.photo(f"{number}/{name}.png", 16 + number)
        job.photo(f"{number}/copy of {name}.png", 16 + number)
    call("run", job.file, "--limit", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    table = job.text().split("\n\n")[0].splitlines()

    assert table[0].split() == ["input", "what"]
    assert table[0].index("what") >= 48
    assert max(map(display_width, table)) <= 80
    assert "same contents" in table[-1]


def test_short_names_leave_a_small_terminal_room_for_everything(job, monkeypatch):
    job.photo("a.png")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    assert job.text().splitlines()[:2] == [
        "input         output  what  price",
        "photos/a.png  a.png   new   0.080 USD",
    ]


def test_a_reason_is_told_whole_where_names_leave_it_room(job, monkeypatch):
    job.photo("a.png")
    job.remember(a=(submitting, failed("content_policy_violation")))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    assert "failed before: content_policy_violation; tried again" in job.text("--retry-failed")


def test_what_is_skipped_fits_the_terminal_too(job, monkeypatch):
    for name in HARD:
        (job.photo("x.png").parent / name).with_suffix(".txt").write_text("no picture")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    lines = job.text().splitlines()

    first = lines.index("  skipped   4  no image or video")
    assert lines[first + 4].split() == ["and", "1", "more"]
    assert max(map(display_width, lines[first : first + 5])) <= 80


@pytest.mark.parametrize(
    ("budget", "told"),
    [("0.1 USD", ["the budget of 0.1 USD covers 1 of 3 tasks; the rest waits"]), ("1 USD", [])],
    ids=["not all", "all"],
)
def test_a_run_says_beforehand_what_its_budget_does_not_cover(job, budget, told):
    for number in range(3):
        job.photo(f"{number}.png", 16 + number)
    manifest = load(job.file)
    plan = survey(manifest, History(), Choice(), NOW)

    outlook = look_ahead(plan, manifest, History(), NOW, cap_usd=usd(budget))

    assert list(foretold(outlook, asks=False)) == told


def test_what_has_no_price_is_not_called_free(job):
    own = (
        "model: fal/mine\n"
        "models: {mine: {endpoint: acme/large, kind: image, input: image_url, output: image.url, "
        "price: 0.03 USD/MP, factor: upscale_factor}}\n"
    )
    job.photo("a.png")
    job.write(own)
    unknown = job.text()
    job.write(f"{own}params: {{upscale_factor: 2}}")

    known = job.text()

    assert "fal/mine: 1 task, of unknown price\n" in unknown
    assert "fal/mine: 1 task, 0.000023 USD\n" in known
