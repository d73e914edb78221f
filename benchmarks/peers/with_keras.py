"""Keras 3 on torch: compile and fit. float32, not compiled, no test-time augmentation, all cores.

documented
    mnist    keras.io/examples/vision/mnist_convnet: two convolutions of 32 and 64 filters, dropout 0.5, Adam, batch 128, 15 epochs, a tenth held out.
    sst2     keras.io/examples/nlp/text_classification_from_scratch: vectors of 128, two Conv1D of 128 filters, 7 wide and 3 apart, a dense layer of 128,
             dropout 0.5, Adam, batch 32. Its TextVectorization runs on TensorFlow; the words are numbered by words.py instead, 20,000 at most, 64 a row.
    adult    keras.io/examples/structured_data/tabtransformer, the baseline model: embeddings of 16, five dense layers with gelu, batch normalisation and
             dropout 0.2, AdamW 0.001 with decay 1e-4, batch 265, 15 epochs.
    cifar10  none that trains from random weights within the time.
tuned
    The same library: larger batches, a rate that rises and falls (CosineDecay with warm-up), batch normalisation, a bag of word pairs, one dense tower.
"""

import os
from contextlib import suppress

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from clock import Clock, Job, Over, job
from keras import layers
from words import numbered, padded


def pictures(asked: Job) -> dict[str, np.ndarray]:
    """Pixels from 0 to 1, as the example has them."""
    arrays = asked.read()
    return {name: values.astype("float32") / 255 if name.endswith("x") else values for name, values in arrays.items()}


def falling(rate: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Up for a tenth of the steps, then down to nothing."""
    return keras.optimizers.schedules.CosineDecay(rate / 25, int(0.9 * steps), warmup_target=rate, warmup_steps=max(1, int(0.1 * steps)))


def mnist(asked: Job) -> tuple[keras.Model, dict[str, np.ndarray], dict[str, object]]:
    """Digits."""
    data = pictures(asked)
    if asked.recipe == "documented":
        body = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
                layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)]
        return compiled([keras.Input((28, 28, 1)), *body], "adam"), data, {"batch_size": 128, "epochs": 15, "validation_split": 0.1}
    keras.config.set_image_data_format("channels_first")  # torch's own order: nothing is transposed around each convolution
    data |= {name: values.reshape(-1, 1, 28, 28) for name, values in data.items() if name.endswith("x")}
    body = []
    for width in (24, 48, 96):
        body += [layers.Conv2D(width, 3, padding="same", use_bias=False), layers.MaxPooling2D(2), layers.BatchNormalization(1, momentum=0.9), layers.ReLU()]
    optimizer = keras.optimizers.AdamW(falling(1e-2, 3 * 234), weight_decay=0.01)
    return compiled([keras.Input((1, 28, 28)), *body, layers.Flatten(), layers.Dense(10)], optimizer), data, {"batch_size": 256, "epochs": 3}


def sst2(asked: Job) -> tuple[keras.Model, dict[str, np.ndarray], dict[str, object]]:
    """Sentences."""
    arrays, documented = asked.read(), asked.recipe == "documented"
    train, test, words = numbered(arrays["train_x"], arrays["test_x"], pairs=not documented, least=1 if documented else 2)
    words = min(words, 20_000)
    data = {name: np.where(rows < words, rows, 1) for name, rows in (("train_x", padded(train, 64)), ("test_x", padded(test, 64)))}
    data |= {name: arrays[name] for name in ("train_y", "test_y")}
    if documented:
        body = [layers.Embedding(words, 128), layers.Dropout(0.5), layers.Conv1D(128, 7, strides=3, activation="relu"),
                layers.Conv1D(128, 7, strides=3, activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(128, activation="relu"),
                layers.Dropout(0.5), layers.Dense(2)]
        return compiled([keras.Input((64,), dtype="int32"), *body], "adam"), data, {"batch_size": 32, "epochs": 12}
    body = [layers.Embedding(words, 64), layers.GlobalAveragePooling1D(), layers.Dropout(0.3), layers.Dense(2)]
    optimizer = keras.optimizers.Adam(falling(2e-2, 4 * 54))
    return compiled([keras.Input((64,), dtype="int32"), *body], optimizer), data, {"batch_size": 128, "epochs": 4}


def adult(asked: Job) -> tuple[keras.Model, dict[str, np.ndarray], dict[str, object]]:
    """People."""
    arrays, documented = asked.read(), asked.recipe == "documented"
    numbers = [layers.Normalization()]
    numbers[0].adapt(arrays["train_numbers"])
    data: dict[str, object] = {f"{part}_y": arrays[f"{part}_y"] for part in ("train", "test")}
    codes, inputs, pieces = {"train": [], "test": []}, [], []
    for place, known in enumerate(arrays["train_categories"].T):
        names = np.unique(known)
        for part in ("train", "test"):
            values = arrays[f"{part}_categories"][:, place]
            at = np.searchsorted(names, values).clip(max=len(names) - 1)
            codes[part].append(np.where(names[at] == values, at + 1, 0))
        inputs.append(keras.Input((), dtype="int32"))
        pieces.append(layers.Embedding(len(names) + 1, 16)(inputs[-1]))
    measured = keras.Input((6,))
    x = layers.Concatenate()([*pieces, numbers[0](measured)])
    data |= {f"{part}_x": [*codes[part], arrays[f"{part}_numbers"]] for part in ("train", "test")}
    widths = [x.shape[1]] * 4 + [x.shape[1] * 4, x.shape[1] * 2] if documented else [256, 256]
    for width in widths:
        x = layers.Dropout(0.2)(layers.Activation("gelu")(layers.BatchNormalization()(layers.Dense(width)(x))))
    model = keras.Model([*inputs, measured], layers.Dense(2)(x))
    rate = 0.001 if documented else falling(5e-3, 4 * 63)
    finish(model, keras.optimizers.AdamW(rate, weight_decay=1e-4))
    return model, data, {"batch_size": 265, "epochs": 15} if documented else {"batch_size": 512, "epochs": 4}


def compiled(stack: list[object], optimizer: object) -> keras.Model:
    """A Sequential with the loss of classes."""
    model = keras.Sequential(stack)
    finish(model, optimizer)
    return model


def finish(model: keras.Model, optimizer: object) -> None:
    """The loss, the metric, the optimiser."""
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])


class Watch(keras.callbacks.Callback):
    """The stop-watch at the end of every epoch."""

    def __init__(self, clock: Clock, data: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.clock, self.data = clock, data

    def on_epoch_end(self, _epoch: int, _logs: object = None) -> None:
        with self.clock.evaluating():
            reached = (self.model.predict(self.data["test_x"], batch_size=500, verbose=0).argmax(1) == self.data["test_y"]).mean()
        self.clock.epoch(reached)


def main() -> None:
    """Train until the goal, the time or the recipe ends."""
    asked = job(__doc__)
    keras.utils.set_random_seed(asked.seed)
    clock = Clock(asked)
    model, data, fit = {"mnist": mnist, "sst2": sst2, "adult": adult}[asked.workload](asked)
    with suppress(Over):
        model.fit(data["train_x"], data["train_y"], verbose=0, callbacks=[Watch(clock, data)], **fit)


if __name__ == "__main__":
    main()
