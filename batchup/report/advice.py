"""What to do about failures, by their class."""

_BY_KIND = {
    "content_policy_violation": (
        "The model's filter refused the picture. It will refuse it again: another model may take it, or leave the"
        " picture out with exclude."
    ),
    "rate_limited": "The platform asked for patience for too long. Lower run.rate or run.concurrency and retry.",
    "input_vanished": "The file was there when the run began and is gone. Put it back and run again.",
    "input_changed": "The file was changed while it was worked on. Run again once nobody writes to it.",
    "source_changed": "The file was changed while it was worked on. Run again once nobody writes to it.",
    "input_unreadable": "The file may not be read. Look at its permissions and at the disk, then retry.",
    "output_damaged": (
        "What came back does not decode, though it was fetched again. Retrying submits, and pays, once more."
    ),
    "output_is_a_folder": "A folder stands where the output is to go. Rename it, or change output.name.",
    "output_behind_symlink": "Outputs are never written through a symlink. Replace it by a folder.",
    "heic_unsupported": "HEIC needs an extra: pip install 'batchup[heic]'; then retry.",
    "raw_unsupported": "A camera raw is no finished picture. Develop it to TIFF, PNG or JPEG first.",
    "not_media": "By its contents the file is no image or video, whatever its name says. Leave it out, or replace it.",
    "refused": "The model cannot take this input; its message says which limit. Choose another model by a rule.",
    "result_expired": "The platform no longer has the result. Only a new submission can bring it: run --redo.",
    "worker_died": "The worker process died, most often for want of memory. Lower run.memory or run.concurrency.",
    "deadline": "It took longer than timeouts.task allows. Raise that, or give the model smaller inputs.",
    "url_not_found": "Nothing is at this address any more. Correct the address in the manifest or list.",
    "private_address": "The address leads into a private network. If that is meant, write allow_private: true.",
    "request_timeout": "The platform gave up waiting for a runner. Retry later, or with fal.priority: normal.",
    "image_too_large": "The picture is larger than the model takes. Leave such out by max_pixels, or scale them first.",
    "image_too_small": "The picture is smaller than the model takes. Leave such out by min_pixels.",
}

_BY_END = (
    (
        ("_truncated",),
        "The file is cut: a copy or download ended early. Replace it by a whole one, then run again.",
    ),
    (("_damaged",), "The file is damaged. Replace it from the original or a backup, then run again."),
    (
        ("_unreadable",),
        "It could not be read; the message says what is wrong with it. Replace it, or retry if it came by network.",
    ),
    (
        ("_unsupported", "_format"),
        "batchup would lose something of it. Convert the file, or set output_format.",
    ),
    (
        ("_unwritable",),
        "The output's format cannot hold the picture. Set another output_format, such as png.",
    ),
    (("_refused", "_invalid"), "It was refused as it is written. Correct it in the manifest or list."),
)

_PASSING = frozenset(
    {
        "answer_too_large",
        "answer_unreadable",
        "download_cut",
        "download_stalled",
        "failed",
        "in_progress",
        "no_worker",
        "not_connected",
        "not_started",
        "platform_unavailable",
        "request_failed",
        "server_error",
        "upload_incomplete",
    }
)


def advice(kind: str) -> str:
    """Return what a person may do about failures of this class."""
    found = _BY_KIND.get(kind)
    if found is None and kind in _PASSING:
        found = "This often passes by itself, and all its attempts were used up. Retry; if it fails again, look at the message."
    if found is None:
        found = next((text for ends, text in _BY_END if kind.endswith(ends)), None)
    return (
        found
        or "The messages below say what was wrong. Put that right, then retry; until then nothing is submitted."
    )
