"""Prompts of the scenes, and the tokenizers that read them."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

import sentencepiece
import torch
from transformers import CLIPTokenizer, T5Tokenizer

from examples.train_demo.scenes import KINDS, TIMES

_NOUNS = {
    "sea": ("the sea", "waves on the sea", "the ocean"),
    "mountains": ("mountains", "a mountain with snow", "the mountains"),
    "forest": ("a forest", "trees in a forest", "pine trees"),
    "desert": ("a desert", "a cactus in the desert", "a desert with a cactus"),
    "city": ("a city", "towers of a city", "a city with tall houses"),
    "village": ("a village", "houses in a village", "a village square on market day"),
    "lighthouse": ("a lighthouse", "a lighthouse on a cliff", "a lighthouse by the sea"),
    "harbour": ("a harbour", "a harbour with fishing boats", "sailing boats"),
    "bridge": ("a bridge", "a stone bridge", "a bridge over a river"),
    "river": ("a river", "a river delta from above", "a river in a meadow"),
    "fox": ("a fox", "a fox asleep in the snow", "a red fox in the snow"),
    "portrait": ("a portrait", "a portrait of a woman", "the face of a woman"),
    "flowers": ("flowers", "a vase of flowers", "sunflowers in a vase"),
}
_TIMES = {
    "dawn": ("at dawn", "in the morning", "at sunrise"),
    "day": ("by day", "at noon", ""),
    "dusk": ("at dusk", "at sunset", "in the evening"),
    "night": ("at night", "by night", "under the moon"),
}
PIECES = 320
CLIP_LENGTH = 40
assert set(_NOUNS) == set(KINDS)
assert set(_TIMES) == set(TIMES)


def prompt_of(caption: str, generator: torch.Generator) -> str:
    """Return a prompt for a caption such as "sea|night"."""
    kind, time = caption.split("|")
    noun, when, capital = torch.randint(3, (3,), generator=generator).tolist()
    prompt = f"{_NOUNS[kind][noun]} {_TIMES[time][when]}".strip()
    return prompt.capitalize() if capital else prompt


def first_prompt(kind: str, time: str) -> str:
    """Return the plainest prompt of a kind of scene at a time."""
    return f"{_NOUNS[kind][0]} {_TIMES[time][0]}"


def all_prompts() -> list[str]:
    """Return every noun with every time, with and without a capital."""
    pairs = [f"{noun} {time}".strip() for nouns in _NOUNS.values() for noun in nouns
             for times in _TIMES.values() for time in times]  # fmt: skip
    return [*pairs, *(pair.capitalize() for pair in pairs)]


def write_pieces() -> bytes:
    """Return a SentencePiece model of the prompts' words; other words fall into letters."""
    model = io.BytesIO()
    letters = [" ".join(chr(code) for code in range(33, 127))] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*all_prompts(), *letters]),
        model_writer=model,
        vocab_size=PIECES,
        model_type="unigram",
        character_coverage=1.0,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


class Tokenizers:
    """T5's and CLIP's tokenizers, as the pipeline uses them.

    Args:
        folder: gets the files `t5/spiece.model` and `clip/...`, as a checkpoint has them.
        like: a checkpoint to take the pieces of.
    """

    def __init__(self, folder: Path, *, like: Path | None = None) -> None:
        for name in ("t5", "clip"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            files = ["tokenizer_config.json"]
            files += ["vocab.json", "merges.txt"] if name == "clip" else []
            for file in files:
                data = resources.files("uso_core").joinpath("data", name, file).read_bytes()
                (folder / name / file).write_bytes(data)
        pieces = folder / "t5" / "spiece.model"
        if not pieces.exists():
            known = None if like is None else (like / "t5" / "spiece.model").read_bytes()
            pieces.write_bytes(known or write_pieces())
        self._t5 = T5Tokenizer.from_pretrained(folder / "t5", local_files_only=True)
        self._clip = CLIPTokenizer.from_pretrained(folder / "clip", local_files_only=True)

    def t5(self, prompts: list[str]) -> torch.Tensor:
        """Return the pieces of prompts, [B, longest + 1]: the last one is padding in each row."""
        rows = [self._t5(prompt).input_ids for prompt in prompts]
        longest = max(map(len, rows)) + 1
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def clip(self, prompts: list[str]) -> torch.Tensor:
        """Return CLIP's pieces, [B, longest]; what follows the end changes nothing before it."""
        rows = [self._clip(prompt).input_ids[:CLIP_LENGTH] for prompt in prompts]
        longest = max(map(len, rows))
        end = rows[0][-1]
        return torch.tensor([row + [end] * (longest - len(row)) for row in rows])
