"""What a worker process does for local/nearest."""

from PIL import Image

from batchup.providers.local.work import Work


def enlarge(work: Work) -> None:
    with Image.open(work.source) as picture:
        picture.resize((work.width, work.height), Image.Resampling.NEAREST).save(work.output, "PNG")
