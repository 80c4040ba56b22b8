"""Scores: numbers about each finished image, such as its distance from the style's palette.

A scorer is one module with a `Scorer` (see `scorer`) and one entry in `registry.SCORERS`:

```python
SCORER = Scorer(
    name="dino",                              # the key in `scores:`, and the field in records
    title="Subject kept",                     # for people
    meaning="cosine of the DINO embeddings of the image and its content",
    better="higher",                          # or "lower", or "neither"
    low=-1.0, high=1.0,                       # the range; None: no bound
    needs=("content",),                       # without it, the score is null
    source="Wu et al. 2025, USO-Bench",
    options=DinoOptions,                      # a StrictModel: the keys below `scores.dino`
    missing=lambda options: ...,              # before the run: a text about the lacking files
    identity=lambda options: {"weights": sha256_of(options.weights)},
    load=load,                                # once per worker
    one_at_a_time=True,                       # one thread, for a network
)

def load(options: DinoOptions) -> Score:
    network = ...
    def score(seen: Seen) -> float | None:    # once per image, beside the device
        return cosine(features(seen.picture), features(seen.content))
    return score
```

`Picture.key` identifies the pixels of a reference, so that a scorer can keep its features for the
next rows. A score that is not finite becomes null, and so does the score of a scorer that raises;
the log says why, and the row is recorded all the same. A module is imported only if its score is
asked for or described, so heavy imports belong into `load`, and `missing` may look for packages
with `importlib.util.find_spec`.

A score of one name has one meaning in an output: `identity` and `Scorer.version` are kept there,
and a run with another one is refused. Raise `version` if the same picture gets another value.
"""
