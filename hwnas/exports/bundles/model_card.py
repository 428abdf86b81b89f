"""The README of a bundle: a model card as Hugging Face reads it, every figure with the place it is from.

Nothing is said of what no file tells: neither a licence nor what the model is good for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hwnas.exports.bundles.engines import engine_words

Figure = tuple[str, str, str]  # what, the pointer into card.json, and its format

_ACCURACY: Sequence[Figure] = (
    ("accuracy on test images", "/accuracy/test", "{:.2%}"),
    ("accuracy on validation images", "/accuracy/validation", "{:.2%}"),
)
_CONVERSION: Sequence[Figure] = (
    ("accuracy on test images before the conversion", "/conversion/float_accuracy/test", "{:.2%}"),
    ("largest difference from the float32 model", "/conversion/max_abs", "{:.3g}"),
    ("same class as the float32 model", "/conversion/top1_agreement", "{:.2%}"),
    ("images compared", "/conversion/samples", "{}"),
)
_RANGES: Sequence[Figure] = (("images the ranges were found with", "/conversion/calibration_images", "{}"),)  # of int8
_COSTS: Sequence[Figure] = (
    ("parameters, millions", "/costs/params_m", "{:.4g}"),
    ("multiply-accumulates, millions", "/costs/macs_m", "{:.4g}"),
    ("weights and activations, MiB", "/costs/memory_mib", "{:.4g}"),
)
_LATENCY: Sequence[Figure] = (
    ("latency measured, ms", "/latency/measured_ms", "{:.4g}"),
    ("half width of its 95 % interval, relative", "/latency/uncertainty", "{:.1%}"),
    ("latency predicted, ms", "/latency/predicted_ms", "{:.4g}"),
)
_PARITY: Sequence[Figure] = (
    ("largest difference from PyTorch", "/parity/max_abs", "{:.3g}"),
    ("same class as in PyTorch", "/parity/top1_agreement", "{:.2%}"),
    ("images compared", "/parity/samples", "{}"),
)
# A prepared image as the bytes that trtexec reads.
_RAW = (
    "python -c \"import json, numpy, run; image = run.prepare(numpy.load('IMAGE.npy'), "
    "json.load(open('preprocessing.json'))); image.astype('{kind}').tofile('IMAGE.bin')\""
)


def model_card(card: Mapping[str, Any], about: Mapping[str, Any], *, classes: Sequence[str], trtexec: str) -> str:
    """The README of a bundle.

    Args:
        card: As in ``card.json``.
        about: As in ``provenance.json``: space, data, device, engine and so on.
        classes: Their names.
        trtexec: The command for TensorRT.
    """
    rows = [*_ACCURACY, *_LATENCY, *_COSTS, *(_CONVERSION if card["conversion"] else _PARITY)]
    rows += _RANGES if card["precision"] == "int8" else ()
    lines = [
        f"| {what} | {form.format(found)} | `card.json#{pointer}` |"
        for what, pointer, form in rows
        if (found := at(card, pointer)) is not None
    ]
    parts = [
        _front_matter(card, about),
        f"# Network {card['id']}",
        (
            f"An image classifier of {len(classes)} classes for `{about['data']}`, found by `hwnas` in the space "
            f"`{about['space']}` for {about['device_name']} (`provenance.json`), exported in {card['precision']}. Its "
            "architecture is in `architecture.json`."
        ),
        "| figure | value | from |\n| --- | --- | --- |\n" + "\n".join(lines),
        *([] if "skipped" not in card["latency"] else [f"Latency: {card['latency']['skipped']}."]),
        _use(card),
        _tensorrt(about.get("engine"), trtexec),
        f"Classes, in the order of the outputs: {', '.join(classes[:50])}{', …' if len(classes) > 50 else ''}.",
    ]
    return "\n\n".join(parts) + "\n"


def at(card: Mapping[str, Any], pointer: str) -> Any:
    """What stands at a pointer such as ``/accuracy/test``; ``None`` where nothing does."""
    found: Any = card
    for name in pointer.strip("/").split("/"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _front_matter(card: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """What Hugging Face reads by machine; JSON is YAML, so that names are quoted as they have to be."""

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    return "\n".join(
        [
            "---",
            "library_name: onnx",
            "pipeline_tag: image-classification",
            "tags: [onnx, hwnas, neural-architecture-search]",
            "metrics: [accuracy]",
            "model-index:",
            f"- name: {text(card['id'])}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{name: {text(about['data'])}, type: {text(about['data'])}, split: test}}",
            f"    metrics: [{{type: accuracy, value: {card['accuracy']['test']!r}}}]",
            "---",
        ]
    )


def _use(card: Mapping[str, Any]) -> str:
    batch = "any number of images" if card["batch"] == "dynamic" else "one image"
    return (
        "## Use\n\n"
        f"`model.onnx` reads {batch}, prepared as `preprocessing.json` says. With `onnxruntime` and `numpy` alone:"
        "\n\n```\npython run.py IMAGE.npy\n```\n\n"
        "`run.cpp` does the same in C++; `network.py` is the same network for PyTorch, with `network.safetensors`; "
        "`config.pbtxt` is for Triton, beside a folder `1` with the model."
    )


def _tensorrt(engine: Mapping[str, Any] | None, trtexec: str) -> str:
    """What there is for TensorRT: the command at least, and the engine where one was made."""
    make = f"```\n{trtexec}\n```"
    if engine is None or "failed" in engine:
        why = "" if engine is None else f"This folder has no engine: {engine['failed']}\n\n"
        return f"## TensorRT\n\n{why}On the machine that will run it:\n\n{make}"
    measured = (
        "It is the one whose latency was measured."
        if engine["measured"]
        else "It was built after the measurement: engines of one model may differ by some percent in their latency."
    )
    return (
        f"## TensorRT\n\n{engine_words(engine)}. **It is not portable**: another GPU or another version of TensorRT "
        f"needs an engine of its own. All conditions are in `provenance.json`. {measured} It reads one image a run. "
        "Its outputs were not compared with those of `model.onnx`; this runs it on an image:\n\n"
        f"```\n{_RAW.format(kind='float16' if engine['precision'] == 'fp16' else 'float32')}\n"
        f"trtexec --loadEngine={engine['file']} --loadInputs=image:IMAGE.bin --exportOutput=logits.json\n```\n\n"
        f"To make an engine elsewhere, or another one here:\n\n{make}"
    )
