"""A translator of a small German, from nothing to a served artefact, in about a minute on two CPU cores.

    python examples/translation.py

The language is made up here, so that nothing is downloaded, but it has what makes German hard: articles and endings that follow gender and case, and a verb
that stays in second place. The network sees 4,000 pairs of sentences, no rule and no dictionary; it is judged on sentences that it has not seen.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.translation.task import Translation
from thuja.models.translator import Translator
from thuja.settings import Check, Data, Evaluate, Train

NOUNS = (("dog", "Hund", "m"), ("cat", "Katze", "f"), ("house", "Haus", "n"), ("man", "Mann", "m"), ("woman", "Frau", "f"), ("child", "Kind", "n"),
         ("tree", "Baum", "m"), ("flower", "Blume", "f"), ("car", "Auto", "n"))
ADJECTIVES = (("small", "klein"), ("big", "groß"), ("red", "rot"), ("old", "alt"), ("green", "grün"))
VERBS = (("sees", "sieht"), ("finds", "findet"), ("paints", "malt"), ("likes", "mag"))
TIMES = (("today", "heute"), ("often", "oft"), ("now", "jetzt"))
ARTICLES = {"the": {"m": ("der", "den"), "f": ("die", "die"), "n": ("das", "das")}, "a": {"m": ("ein", "einen"), "f": ("eine", "eine"), "n": ("ein", "ein")}}
ENDINGS = {"the": {"m": ("e", "en"), "f": ("e", "e"), "n": ("e", "e")}, "a": {"m": ("er", "en"), "f": ("e", "e"), "n": ("es", "es")}}
"""By article and gender: as the subject, and as the object."""


def noun_phrase(rng: np.random.Generator, case: int) -> tuple[str, str]:
    """A noun with its article and perhaps an adjective; case 0 is the subject's, 1 the object's."""
    article = ("the", "a")[rng.integers(2)]
    english, german, gender = NOUNS[rng.integers(len(NOUNS))]
    if rng.random() < 0.5:
        adjective, stem = ADJECTIVES[rng.integers(len(ADJECTIVES))]
        english, german = f"{adjective} {english}", f"{stem}{ENDINGS[article][gender][case]} {german}"
    return f"{article} {english}", f"{ARTICLES[article][gender][case]} {german}"


def sentence(rng: np.random.Generator) -> tuple[str, str]:
    """English and German: subject, verb, object; after a time the German verb comes before its subject."""
    (subject, ours), (thing, theirs), (verb, does) = noun_phrase(rng, 0), noun_phrase(rng, 1), VERBS[rng.integers(len(VERBS))]
    if rng.random() < 0.4:
        time, when = TIMES[rng.integers(len(TIMES))]
        return f"{time} {subject} {verb} {thing}.", f"{when} {does} {ours} {theirs}."
    return f"{subject} {verb} {thing}.", f"{ours} {does} {theirs}."


def sentences(count: int, seed: int = 0) -> dict[str, list[str]]:
    """Pairs, each once, by language."""
    rng = np.random.default_rng(seed)
    pairs = list(dict.fromkeys(sentence(rng) for _ in range(count)))
    return {"en": [english for english, _ in pairs], "de": [german for _, german in pairs]}


def task() -> Translation:
    """The recipe."""
    return Translation(source="en", target="de", vocabulary_size=500, model=Translator(dim=64, depth=2, heads=4, hidden=128))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=None, help="folder for the run and the artefact; a temporary one if empty")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        made = sentences(4000)
        for part, rows in (("train", slice(0, -400)), ("val", slice(-400, -200)), ("test", slice(-200, None))):
            for language, texts in made.items():
                (folder / "data").mkdir(parents=True, exist_ok=True)
                (folder / "data" / f"{part}.{language}").write_text("".join(f"{text}\n" for text in texts[rows]), "utf-8")
        alike = {"near-duplicates": "a language of few words, in which many sentences differ by one"}
        spec = thuja.Spec(task=task(), data=Data(path=str(folder / "data")), check=Check(waive=alike), train=Train(steps=arguments.steps),
                          evaluate=Evaluate(resamples=200))
        run = thuja.train(spec, root=folder / "runs")
        scores = thuja.evaluate(run)
        bleu = scores.metrics["bleu"]
        sys.stdout.write(f"BLEU {bleu.value:.1f} ({bleu.low:.1f} to {bleu.high:.1f}); {scores.recommendation}\n")
        artifact = thuja.export(run, out=folder / "translator")
        asked = ["today a small woman paints the old tree.", "the red car likes a child.", ""]
        for english, answer in zip(asked, thuja.predict(artifact, [{"en": text} for text in asked]), strict=True):
            sys.stdout.write(f"{english!r} -> {answer['translation']!r}\n")


if __name__ == "__main__":
    main()
