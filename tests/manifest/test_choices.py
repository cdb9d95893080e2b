"""Models and their parameters are checked before anything runs, whatever combination they are part of."""

from pathlib import Path

import pytest

from batchup.errors import ManifestError
from batchup.manifest import parse

OWN = "models: {own: {endpoint: a/b, kind: image, input: image_url, output: image.url}}\n"


def faults(text: str, model: str = "model: local/lanczos\n", output: str = "{dir: out}") -> list[str]:
    head = f"version: 1\nname: x\ninputs: [{{path: a}}]\noutput: {output}\n{OWN}{model}"
    try:
        parse((head + text).encode(), "job.yaml", Path("/jobs"))
    except ManifestError as error:
        return [fault.message for fault in error.faults]
    return []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "params: {scale: 2, width: 1}\nmatrix: {output_format: [png]}",
            id="what does not go together is left to the combinations",
        ),
        pytest.param(
            "matrix: {codec: [h264, vp9], megapixels: [4], model: [local/lanczos, local/lanczos-video]}",
            id="left out of the model that does not have it",
        ),
        pytest.param(
            "matrix: {quality: [80]}\n"
            "rules: [{match: {kind: video}, model: local/lanczos-video, params: {quality: low}}]",
            id="set by the rule whose model it would not fit",
        ),
        pytest.param("params: {scale: 4, quality: 80}", id="parameters"),
        pytest.param("params: {output_format: png}\nmatrix: {scale: [2, 4.5]}", id="matrix"),
        pytest.param(
            "matrix: {model: [{model: fal/own, params: {any: 1}}, local/lanczos]}", id="own endpoint"
        ),
        pytest.param(
            "rules: [{match: {}, model: fal/own, params: {any: 1}}]", id="rule with an own endpoint"
        ),
        pytest.param(
            "matrix: {any: [1], model: [fal/own, local/lanczos]}", id="left out where there is none"
        ),
        pytest.param(
            "matrix: {scale: [2, 99], model: [fal/own, local/lanczos], exclude: [{model: local/lanczos, scale: 99}]}",
            id="excluded where it does not fit",
        ),
        pytest.param(
            "prices: {fal/own: 1 USD/MP}\nrun: {limits: {fal/own: {concurrency: 1}}}", id="own names"
        ),
        pytest.param(
            "matrix: {scale: [2, 4]}\nrules: [{match: {}, params: {scale: 3}}]", id="rule over matrix"
        ),
    ],
)
def test_what_fits_its_model_is_right(text):
    assert faults(text) == []


def test_a_matrix_must_fit_the_models_of_rules_that_leave_it_open():
    text = "matrix: {quality: [80]}\nrules: [{match: {kind: video}, model: local/lanczos-video}]"

    assert faults(text) == [
        "matrix.quality.0: 80 is not allowed; write high or medium or low (local/lanczos-video)"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "params: {scale: 2, width: 100}",
            "params: scale and width",
            id="parameters that exclude each other",
        ),
        pytest.param(
            "params: {scale: 2}\nrules: [{match: {}, params: {width: 100}}]",
            "rules.0.params: scale and width",
            id="a rule merges into params",
        ),
        pytest.param(
            "matrix: {model: [{model: local/lanczos, params: {scale: 2, width: 100}}]}",
            "matrix.model.0.params: scale and width",
            id="a choice is checked whole",
        ),
    ],
)
def test_parameters_that_do_not_go_together_are_told_where_nothing_can_change_them(text, said):
    told = faults(text)

    assert len(told) == 1
    assert told[0].startswith(said)


def test_a_rule_with_another_model_starts_from_its_defaults():
    assert (
        faults("params: {scale: 2}\nrules: [{match: {}, model: local/lanczos}]", model="model: fal/own\n")
        == []
    )


def test_a_model_may_come_from_the_rules_alone():
    assert faults("rules: [{match: {}, model: local/lanczos}]", model="") == []


def test_params_without_a_model_are_told():
    told = faults("params: {scale: 2}\nrules: [{match: {}, model: local/lanczos}]", model="")

    assert told == ["params: there is no model for them; write model, or params beside each model"]


def test_a_rule_without_a_model_needs_one_to_merge_into():
    text = "rules: [{match: {}, model: local/lanczos}, {match: {}, params: {scale: 2}}]"

    assert faults(text, model="") == ["rules.1: needs a model, as there is none for all inputs"]


def test_an_own_endpoint_cannot_take_a_built_in_name_s_place_silently():
    text = "prices: {fal/ownn: 1 USD/MP}"

    assert faults(text) == ['prices.fal/ownn: "fal/ownn" is no model; did you mean fal/own?']


@pytest.mark.parametrize(
    "name",
    [
        "{root}/{dir}/{stem}{source_ext}{ext}",
        "{model}-{index}-{hash}-{width}x{height}",
        "{row.title}-{row.a b}",
        "{scale}-{quality}-{output_format}",
        "{{{stem}}}",
    ],
)
def test_a_template_may_use_every_documented_field(name):
    assert faults("", output=f"{{dir: out, name: '{name}'}}") == []


def test_a_template_may_use_parameters_that_an_own_endpoint_is_given():
    output = "{dir: out, name: '{stem}-{creativity}{ext}'}"

    assert faults("params: {creativity: 1}", model="model: fal/own\n", output=output) == []
    assert faults("", model="model: fal/own\n", output=output) != []
