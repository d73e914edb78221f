"""docs/applications.md: for each application that is not in the README's table, what was reached beside what is published and what a cheap model reaches, as
the newest files in benchmarks/results say it. What has no file yet is named as such."""

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import record

Run = dict[str, Any]


class Row(NamedTuple):
    """A figure of the table."""

    what: str
    file: str
    published: str
    floor: str
    goal: str
    value: Callable[[Run], float]
    """Of one run."""
    digits: int = 2
    times: float = 1.0


def mean_over(runs: Sequence[Run], value: Callable[[Run], float]) -> list[float]:
    """The figure of every seed: the mean over a seed's runs (horizons, folds)."""
    seeds = sorted({run.get("seed", 0) for run in runs})
    return [statistics.fmean(value(run) for run in runs if run.get("seed", 0) == seed) for seed in seeds]


def first(name: str) -> Callable[[Run], float]:
    """A figure by name: a number, the first of a list (value, low, high), or the `value` of a table; in the run itself or in one of its sections."""

    def read(run: Run) -> float:
        found = run[name] if name in run else next(run[part][name] for part in ("figures", "metrics") if part in run)
        return float(found["value"] if isinstance(found, dict) else found[0] if isinstance(found, list) else found)

    return read


def with_parent(run: Run) -> float:
    """The accuracy of the network that went on from learned weights."""
    return float(run["with"]["accuracy"])


ROWS = (
    Row("translation, multi30k en-de, BLEU, 180 s", "translation_multi30k_tok_180s", "41.0 converged", "10.2", "≥ 35", first("bleu")),
    Row("the same, text as it is written, 180 s", "translation_multi30k_raw_180s", "", "10.0", "", first("bleu")),
    Row("the same, 15,000 steps", "translation_multi30k_tok_15000steps", "41.0 converged", "10.2", "≥ 41", first("bleu")),
    Row("language model, tinyshakespeare, nats a character, 20 s", "language_shakespeare_20s", "1.88 in 3 min", "1.61 (6-grams)", "≤ 1.88",
        first("nll_character"), 3),
    Row("the same, 180 s", "language_shakespeare_180s", "1.88 in 3 min", "1.61 (6-grams)", "≤ 1.60", first("nll_character"), 3),
    Row("dialogues, bAbI task 5, responses right to the letter, %", "language_babi5_600s", "", "", "≥ 98.5", first("response_accuracy"), 2, 100),
    Row("intents, clinc150, accuracy in scope, %", "text_clinc150", "96.9 (BERT), 91.2 (CNN)", "90.9", "≥ 93", first("in_scope_accuracy")),
    Row("the same, out-of-scope recall, %", "text_clinc150", "40.3 (BERT), 18.9 (CNN)", "21.9", "≥ 50", first("out_of_scope_recall")),
    Row("spoken digits, fsdd, exactly right, %", "speech_digits", "95 to 99.7", "99.0 (SVM)", "≥ 99", first("exact_match")),
    Row("spoken strings of digits, word error rate, %", "speech_strings", "", "", "≤ 2", first("word_error_rate")),
    Row("the same, the voice of one person never heard", "speech_speakers", "", "", "reported", first("word_error_rate")),
    Row("forecast, etth1, mean MSE of four horizons", "series_etth1", "0.413 (NLinear)", "0.404 (ridge)", "≤ 0.405", first("scaled_mse"), 4),
    Row("the same, coverage of 80 % ranges, %", "series_etth1", "", "", "78 to 82", first("coverage"), 1, 100),
    Row("series, ItalyPowerDemand, accuracy, %", "series_italy", "96.1 (FCN)", "96.5 (ROCKET)", "≥ 96.1", first("accuracy"), 2, 100),
    Row("series, JapaneseVowels, accuracy, %", "series_vowels", "99.3 (FCN)", "99.2 (ROCKET)", "≥ 99.3", first("accuracy"), 2, 100),
    Row("series, GunPoint, accuracy, %", "series_gunpoint", "100 (FCN)", "100 (ROCKET)", "≥ 100", first("accuracy"), 2, 100),
    Row("remaining life, cmapss_fd001, RMSE", "series_cmapss", "12.6 to 18.5", "18.1 (ROCKET)", "≤ 14", first("rmse"), 1),
    Row("recommendation, lastfm, HR@10 of all items", "recommendation_lastfm", "0.0688 (SASRec)", "0.0899 (EASE)", "> 0.0688", first("hit_rate_10"), 4),
    Row("the same, NDCG@10", "recommendation_lastfm", "0.0390", "0.0517 (EASE)", "> 0.0390", first("ndcg_10"), 4),
    Row("the same, HR@10 among 99 negatives", "recommendation_lastfm", "0.4706", "0.556 (item-kNN)", "> 0.4706", first("hit_rate_10_sampled"), 4),
    Row("the same, NDCG@10 among 99 negatives", "recommendation_lastfm", "0.2755", "0.335 (item-kNN)", "> 0.2755", first("ndcg_10_sampled"), 4),
    Row("control, CartPole, return, 20 s", "control_cartpole-v1_20s", "500 (PPO at 100k steps)", "22 (random)", "≥ 475", first("mean_return"), 1),
    Row("control, Pendulum, return, 20k steps", "control_pendulum-v1", "−157 (SAC at 20k)", "−1,200 (random)", "≥ −170", first("mean_return"), 1),
    Row("control, Acrobot, return", "control_acrobot-v1", "−73.5 (PPO)", "−500 (random)", "≥ −80", first("mean_return"), 1),
    Row("control, LunarLander, return", "control_lunarlander-v3", "", "", "≥ 240", first("mean_return"), 1),
    Row("control, HalfCheetah, return, 100k steps", "control_halfcheetah-v5", "", "", "CleanRL's", first("mean_return"), 0),
    Row("detection, bccd, mAP50, 180 s", "detection_bccd_180s", "0.904 (YOLOv8n, pretrained)", "0.363", "≥ 0.80", first("map_50"), 3),
    Row("vessels of the retina, chase_db1, F1", "segmentation_chase_600s", "0.807 (U-Net, 25.8 M), 0.798 (0.55 M)", "", "≥ 0.80", first("f1_pixels"), 3),
    Row("nuclei, dsb2018, Dice", "segmentation_nuclei_300s", "", "0.889 (Otsu)", "≥ 0.90", first("dice"), 3),
    Row("streets, camvid, mean IoU of 11 classes", "segmentation_camvid_900s", "0.59 to 0.67 at 480 x 360", "", "≥ 0.50", first("miou"), 3),
    Row("faces, orl, 5 pictures of 10 known, searched for in a gallery of the others, rank 1, %", "faces_orl_known", "96.2", "90.0", "≥ 98",
        first("gallery_rank_1"), 2, 100),
    Row("the same by the prototypes of training", "faces_orl_known", "96.2", "90.0", "≥ 98", first("rank_1"), 2, 100),
    Row("faces, orl, ten unseen people, equal error rate, %", "faces_orl_unseen", "", "20.0 (eigenfaces)", "≤ 2", first("eer"), 2, 100),
    Row("molecules, ESOL, RMSE, random split", "molecules_esol_random", "0.58 to 0.97", "1.07", "≤ 0.58", first("rmse"), 3),
    Row("molecules, FreeSolv, RMSE, random split", "molecules_freesolv_random", "1.15 to 1.40", "2.03", "≤ 1.15", first("rmse"), 3),
    Row("molecules, Lipophilicity, RMSE, random split", "molecules_lipophilicity_random", "0.655 to 0.719", "0.876", "≤ 0.655", first("rmse"), 3),
    Row("molecules, BBBP, ROC AUC, split by scaffold", "molecules_bbbp_scaffold", "0.729", "", "≥ 0.729", first("roc_auc"), 3),
    Row("made digits, mnist, Fréchet distance, 180 s", "generation_mnist_flow_180s", "", "", "half of TorchCFM's", first("frechet"), 1),
    Row("made pictures, cifar10, Fréchet distance, 180 s", "generation_cifar10_flow_180s", "", "", "half of TorchCFM's", first("frechet"), 1),
    Row("music, jsb_chorales, nats a time step, 120 s", "music_jsb_chorales", "8.1 to 8.5", "", "≤ 8.1", first("nats_a_step"), 2),
    Row("transfer, sst2, accuracy with 300 rows, %", "transfer_sst2_300", "", "see the file", "ahead of fresh weights", with_parent, 1),
    Row("transfer, cifar10, accuracy with 100 pictures, %", "transfer_cifar10_100", "", "see the file", "ahead of fresh weights", with_parent, 1),
)
HEAD = """# Applications: what was reached
Seeds and their spread as they are in the files; "floor" is a cheap model on the same rows, and where it is the better one, use it. Times were taken on two
CPU cores that other work shared at times: the load stands in each file. The artefact is the whole folder, its weights once more in each program; an answer is
one row in process on one core, from raw values to typed ones, all steps made. Pictures, tables and short texts are in the [README](../README.md).

| what | published | floor | goal | reached | seeds | longest training, s | parameters | artefact, MB | one answer, p50 ms | file |
|---|---|---|---|---|---|---|---|---|---|---|
"""


SHORT = """| what | published | floor: a cheap model on the same rows | goal | reached (of the seeds) | seeds | file |
|---|---|---|---|---|---|---|
"""
GUIDES = {"translation": "translation_", "language-model": "language_", "speech": "speech_", "series": "series_", "recommendation": "recommendation_"}
"""Pages of the guide that show figures, and how the names of their files begin."""


def largest(runs: Sequence[Run], name: str, form: str) -> str:
    """The largest figure of this name, empty where no run has it: only the first seed is exported and asked (benchmarks/served.py)."""
    found = [section[name] for run in runs for section in (run, run.get("served", {})) if name in section]
    return format(max(found), form) if found else ""


def line(row: Row) -> str:
    """A row of the table."""
    path = record.latest(row.file)
    if path is None:
        return f"| {row.what} | {row.published} | {row.floor} | {row.goal} | not measured yet | | | | | | |"
    runs: list[Run] = json.loads(path.read_text("utf-8"))["runs"]
    values = [row.times * value for value in mean_over(runs, row.value)]
    spread = f" ({min(values):.{row.digits}f} to {max(values):.{row.digits}f})" if len(values) > 1 else ""
    seconds = max((run.get("train_s", run.get("wall_s", 0.0)) for run in runs), default=0.0)
    size, megabytes, middle = (largest(runs, name, form) for name, form in (("parameters", ",.0f"), ("artifact_mb", ".1f"), ("p50_ms", ".1f")))
    return (f"| {row.what} | {row.published} | {row.floor} | {row.goal} | {statistics.fmean(values):.{row.digits}f}{spread} | {len(values)} | {seconds:.0f} "
            f"| {size} | {megabytes} | {middle} | [{row.file}](../benchmarks/results/{path.name}) |")


def short(row: Row) -> str:
    """The row as a guide shows it."""
    cells = [cell.strip() for cell in line(row).strip("|").split("|")]
    return "| " + " | ".join([*cells[:6], cells[-1].replace("../benchmarks", "../../benchmarks")]) + " |"


def guide(prefix: str) -> str:
    """The figures of a page of the guide: those whose files have a name that begins so."""
    return SHORT + "\n".join(short(row) for row in ROWS if row.file.startswith(prefix))


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(map(line, ROWS)) + "\n"
