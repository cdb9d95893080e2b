"""What fal's models take: their parameters with ranges and defaults, and the bodies that are sent."""

import pytest
from pydantic import ValidationError

from batchup.models.prices import price_of
from tests.models.fal.media import IMAGES, MODELS, NAMES, params

URL = "https://v3.fal.media/files/a/in.jpg"
DEFAULTS: dict[str, dict[str, object]] = {
    "fal/aura-sr": {"upscaling_factor": 4, "overlapping_tiles": False, "checkpoint": "v2"},
    "fal/seedvr-image": {
        "upscale_mode": "factor",
        "upscale_factor": 2,
        "target_resolution": "1080p",
        "noise_scale": 0.1,
        "output_format": "jpg",
    },
    "fal/esrgan": {
        "scale": 2,
        "model": "RealESRGAN_x4plus",
        "face": False,
        "tile": 0,
        "output_format": "png",
    },
    "fal/topaz-image": {
        "model": "Standard V2",
        "upscale_factor": 2,
        "subject_detection": "All",
        "face_enhancement": True,
        "face_enhancement_strength": 0.8,
        "face_enhancement_creativity": 0,
        "output_format": "jpeg",
    },
    "fal/crystal": {"scale_factor": 2},
    "fal/seedvr-video": {
        "upscale_mode": "factor",
        "upscale_factor": 2,
        "target_resolution": "1080p",
        "noise_scale": 0.1,
        "output_format": "X264 (.mp4)",
        "output_quality": "high",
        "output_write_mode": "balanced",
    },
    "fal/bytedance-video": {},
    "fal/topaz-video": {
        "upscale_factor": 2,
        "face_enhancement": True,
        "face_enhancement_strength": 0.8,
    },
}
APPS = {
    "fal/aura-sr": ("fal-ai/aura-sr", "image_url", "image"),
    "fal/seedvr-image": ("fal-ai/seedvr/upscale/image", "image_url", "image"),
    "fal/esrgan": ("fal-ai/esrgan", "image_url", "image"),
    "fal/topaz-image": ("fal-ai/topaz/upscale/image", "image_url", "image"),
    "fal/crystal": ("fal-ai/crystal-upscaler", "image_url", "images.0"),
    "fal/seedvr-video": ("fal-ai/seedvr/upscale/video", "video_url", "video"),
    "fal/bytedance-video": ("fal-ai/bytedance-upscaler/upscale/video", "video_url", "video"),
    "fal/topaz-video": ("fal-ai/topaz/upscale/video", "video_url", "video"),
}
ESRGAN = [
    "RealESRGAN_x4plus",
    "RealESRGAN_x2plus",
    "RealESRGAN_x4plus_anime_6B",
    "RealESRGAN_x4_v3",
    "RealESRGAN_x4_wdn_v3",
    "RealESRGAN_x4_anime_v3",
]
TOPAZ = [
    *("Standard V2", "Low Resolution V2", "CGI", "High Fidelity V2", "Text Refine", "Recovery", "Redefine"),
    *("Recovery V2", "Standard MAX", "Wonder", "Wonder 3"),
]
PROTEUS = [
    *("Proteus", "Artemis HQ", "Artemis MQ", "Artemis LQ", "Nyx", "Nyx Fast", "Nyx XL", "Nyx HF"),
    *("Gaia HQ", "Gaia CG"),
]
SIDES = ["720p", "1080p", "1440p", "2160p"]
SEEDVR = {
    "upscale_mode": ["factor", "target"],
    "upscale_factor": [1, 1.5, 2.0, 10],
    "target_resolution": SIDES,
    "noise_scale": [0, 0.5, 1],
    "seed": [0, 7, None],
}
TAKEN = {
    "fal/aura-sr": {
        "upscaling_factor": [4],
        "overlapping_tiles": [True, False],
        "checkpoint": ["v1", "v2"],
    },
    "fal/seedvr-image": {**SEEDVR, "output_format": ["jpg", "png", "webp"]},
    "fal/esrgan": {
        "scale": [1, 2, 3.5, 8],
        "model": ESRGAN,
        "face": [True],
        "tile": [0, 400],
        "output_format": ["png", "jpeg"],
    },
    "fal/topaz-image": {
        "model": TOPAZ,
        "upscale_factor": [1, 2.5, 4],
        "subject_detection": ["All", "Foreground", "Background"],
        "face_enhancement": [False],
        "face_enhancement_strength": [0, 0.5, 1],
        "face_enhancement_creativity": [0, 0.5, 1],
        "output_format": ["jpeg", "png"],
    },
    "fal/crystal": {
        "scale_factor": [1, 2.5, 200],
        "creativity": [0, 10, None],
        "output_format": ["jpg", "png"],
    },
    "fal/seedvr-video": {
        **SEEDVR,
        "output_format": ["X264 (.mp4)", "VP9 (.webm)", "PRORES4444 (.mov)", "GIF (.gif)"],
        "output_quality": ["low", "medium", "high", "maximum"],
        "output_write_mode": ["fast", "balanced", "small"],
    },
    "fal/bytedance-video": {
        "target_resolution": ["1080p", "2k", "4k", None],
        "target_fps": ["30fps", "60fps", None],
        "enhancement_tier": ["standard", "fast", "pro", None],
    },
    "fal/topaz-video": {
        "upscale_factor": [1, 4],
        "face_enhancement": [False],
        "face_enhancement_strength": [0, 1],
        "model": [*PROTEUS, None],
        "target_fps": [16, 60],
        "compression": [0, 1],
        "noise": [0, 1],
        "halo": [0, 1],
        "grain": [0, 0.1],
        "recover_detail": [0, 1],
        "H264_output": [True, False],
    },
}
FACTOR = [0.99, 10.01, 0, -2, "2", True, None]
NOT_TAKEN = {
    "fal/aura-sr": {
        "upscaling_factor": [2, "4", None],
        "overlapping_tiles": ["yes", 1],
        "checkpoint": ["v3", 2],
    },
    "fal/seedvr-image": {
        "upscale_mode": ["size"],
        "upscale_factor": FACTOR,
        "target_resolution": ["480p", 1080],
        "noise_scale": [-0.1, 1.1],
        "output_format": ["jpeg", "tiff"],
        "seed": [1.5, "7"],
    },
    "fal/esrgan": {
        "scale": [0.5, 8.5],
        "model": ["RealESRGAN_x8"],
        "face": [0],
        "tile": [-1, 0.5],
        "output_format": ["jpg", "webp"],
    },
    "fal/topaz-image": {
        "model": ["Standard V3", "standard v2"],
        "upscale_factor": [0.9, 4.1],
        "subject_detection": ["None"],
        "face_enhancement": ["true"],
        "face_enhancement_strength": [1.1],
        "face_enhancement_creativity": [-0.1],
        "output_format": ["jpg"],
    },
    "fal/crystal": {"scale_factor": [0.5, 200.5], "creativity": [-1, 11], "output_format": ["jpeg"]},
    "fal/seedvr-video": {
        "upscale_factor": FACTOR,
        "output_format": ["mp4", ".mp4"],
        "output_quality": ["best"],
        "output_write_mode": ["slow"],
    },
    "fal/bytedance-video": {
        "target_resolution": ["720p", "2K"],
        "target_fps": [60, "24fps"],
        "enhancement_tier": ["ultra"],
    },
    "fal/topaz-video": {
        "upscale_factor": [0.5, 4.5],
        "face_enhancement_strength": [1.5],
        "model": ["Standard V2"],
        "target_fps": [15, 61, 30.5],
        "grain": [0.2],
        "noise": [2],
        "H264_output": ["yes"],
    },
}


def cases(table):
    return [
        pytest.param(name, field, value, id=f"{name.removeprefix('fal/')}-{field}-{value}")
        for name, fields in table.items()
        for field, values in fields.items()
        for value in values
    ]


def test_there_are_eight_of_them():
    assert set(NAMES) == set(DEFAULTS) == set(APPS) == set(TAKEN)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_calls_its_endpoint_and_has_no_identity_but_its_name(name):
    model = MODELS[name]

    assert (model.app, model.input, model.output) == APPS[name]
    assert model.endpoint == ""
    assert model.summary.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_sent_and_what_nobody_set_is_not(name):
    model = MODELS[name]

    assert model.body(model.params(), URL) == {**DEFAULTS[name], model.input: URL}


@pytest.mark.parametrize(("name", "field", "value"), cases(TAKEN))
def test_a_value_in_its_range_is_sent_as_it_was_written(name, field, value):
    body = MODELS[name].body(params(name, **{field: value}), URL)

    assert body.get(field) == value
    assert (field in body) is (value is not None)


@pytest.mark.parametrize(("name", "field", "value"), cases(NOT_TAKEN))
def test_a_value_out_of_its_range_is_found(name, field, value):
    with pytest.raises(ValidationError) as caught:
        params(name, **{field: value})

    assert {details["loc"][0] for details in caught.value.errors()} == {field}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stranger", ["image_url", "video_url", "sync_mode", "upscale"])
def test_a_parameter_that_the_endpoint_does_not_take_is_found(name, stranger):
    with pytest.raises(ValidationError, match="not permitted"):
        params(name, **{stranger: "x"})


@pytest.mark.parametrize("name", NAMES)
def test_parameters_with_their_defaults_are_parameters_again(name):
    dumped = params(name).model_dump()

    assert params(name, **dumped).model_dump() == dumped


def test_whole_numbers_are_sent_without_a_fraction():
    body = MODELS["fal/crystal"].body(params("fal/crystal", scale_factor=3.0), URL)

    assert repr(body["scale_factor"]) == "3"


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_explained(name):
    schema = MODELS[name].params.model_json_schema()

    assert all(about.get("description") for about in schema["properties"].values())


@pytest.mark.parametrize("name", NAMES)
def test_every_price_says_where_and_when_it_was_read(name):
    price = price_of(name)

    assert price.source.startswith("https://fal.ai/models/")
    assert MODELS[name].price_note.endswith(f", read {price.read}")


FILE = {"url": "https://v3.fal.media/files/b/out.png", "width": 8, "content_type": "image/png"}


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_found_in_the_answer(name):
    model = MODELS[name]
    holder = model.output.partition(".")[0]
    answer = {"seed": 1, holder: [FILE, {}] if holder == "images" else FILE}

    assert model.file(answer) == FILE


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {}, {"image": None}, {"image": {}}, {"image": {"url": 3}}, {"image": [FILE]}, {"images": []},
     {"images": FILE}, {"images": [None]}],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("name", IMAGES)
def test_an_answer_of_another_form_holds_no_file(name, answer):
    assert MODELS[name].file(answer) is None
