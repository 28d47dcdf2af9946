"""One codec for each process."""

from __future__ import annotations

from pathlib import Path

from meshcodec.session import codec_of_process, forget_codecs


def test_the_same_arguments_are_the_same_codec(tiny_weights: Path) -> None:
    codec = codec_of_process("cpu", tiny_weights)
    assert codec_of_process(device="cpu", weights=tiny_weights) is codec
    limited = codec_of_process("cpu", tiny_weights, max_faces=1000)
    assert limited is not codec
    assert limited.max_faces == 1000
    forget_codecs()
    assert codec_of_process("cpu", tiny_weights) is not codec
