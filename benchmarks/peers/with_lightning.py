"""Lightning: its Trainer around the networks of networks.py. float32, not compiled, no test-time augmentation, all cores, no worker processes.

documented
    mnist    github.com/Lightning-AI/pytorch-lightning, examples/fabric/image_classifier and the older examples/pytorch image classifier: the network and
             recipe of the PyTorch example (batch 64, Adadelta 1.0, the rate times 0.7 an epoch) in a LightningModule.
    cifar10  lightning.ai/docs, "PyTorch Lightning CIFAR10 ~94% Baseline Tutorial": ResNet-18 with a 3x3 stem, batch 256, SGD 0.05, momentum 0.9, decay
             5e-4, OneCycle to 0.1 over 30 epochs, crops of a picture padded by 4 and mirror images.
    sst2, adult  none: Lightning documents no small recipe for them.
tuned
    The recipes tuned for bare PyTorch, batches drawn whole from tensors (a BatchSampler as the loader's sampler), progress bar, logger, checkpoints,
    model summary and sanity check off.
"""

import logging
import warnings
from contextlib import suppress

import lightning
import torch
from bare_torch import Recipe, accuracy, moved, tuned
from clock import Clock, Over, job
from networks import ExampleNet, Skip, block
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset
from torch_data import pictures

EPOCHS = 30
"""Of the CIFAR-10 tutorial; the horizon of its schedule."""


class Net18(nn.Sequential):
    """ResNet-18 for 32x32 pixels as the tutorial makes it: the first convolution 3x3 and not strided, no first pooling."""

    def __init__(self) -> None:
        super().__init__(block(3, 64, pool=False), Skip(64), Skip(64), block(64, 128), Skip(128), block(128, 256), Skip(256), block(256, 512), Skip(512),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Gathered(Dataset):
    """Whole batches by their places."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: list[int]) -> tuple[Tensor, Tensor]:
        places = torch.tensor(index)
        return self.x.index_select(0, places), self.y.index_select(0, places)


class Classifier(lightning.LightningModule):
    """A network, its loss and its optimiser."""

    def __init__(self, recipe: Recipe | None, model: nn.Module, steps: int, cifar: bool = False) -> None:
        super().__init__()
        self.recipe, self.model, self.steps, self.cifar = recipe, model, steps, cifar

    def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
        x, y = batch
        shifted = self.recipe.shifted if self.recipe else 4 * self.cifar
        return cross_entropy(self.model(moved(x, shifted) if shifted else x), y, label_smoothing=self.recipe.smoothing if self.recipe else 0.0)

    def configure_optimizers(self) -> dict[str, object]:
        parameters, recipe = self.model.parameters(), self.recipe
        if recipe is None and not self.cifar:
            optimizer: torch.optim.Optimizer = torch.optim.Adadelta(parameters, 1.0)
            return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)}
        if recipe is None:
            optimizer = torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=5e-4)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * self.steps + 1)
        else:
            kind = {"momentum": 0.9, "nesterov": True} if recipe.sgd else {}
            optimizer = (torch.optim.SGD if recipe.sgd else torch.optim.AdamW)(parameters, recipe.rate, weight_decay=recipe.decay, fused=True, **kind)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.epochs * self.steps + 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Watch(lightning.Callback):
    """The stop-watch at the end of every epoch."""

    def __init__(self, clock: Clock, data: dict[str, Tensor]) -> None:
        self.clock, self.data = clock, data

    def on_train_epoch_end(self, _trainer: lightning.Trainer, module: Classifier) -> None:
        with self.clock.evaluating():
            reached = accuracy(module.model, self.data["test_x"], self.data["test_y"])
        self.clock.epoch(reached)


def main() -> None:
    """Train until the goal, the time or the recipe ends."""
    asked = job(__doc__)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(asked.seed, verbose=False)
    clock = Clock(asked)
    if asked.recipe == "tuned":
        recipe, data = tuned(asked)
        model, epochs, batch = recipe.model, recipe.epochs, recipe.batch
    else:
        recipe, data = None, pictures(asked)
        model, epochs, batch = (ExampleNet(), 14, 64) if asked.workload == "mnist" else (Net18(), EPOCHS, 256)
    if data["train_x"].dim() == 4 and recipe:
        model = model.to(memory_format=torch.channels_last)
    if recipe:
        gathered = Gathered(data["train_x"], data["train_y"])
        loader = DataLoader(gathered, batch_size=None, sampler=BatchSampler(RandomSampler(gathered), batch, drop_last=True))
    else:
        loader = DataLoader(TensorDataset(data["train_x"].contiguous(), data["train_y"]), batch_size=batch, shuffle=True)
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                                enable_model_summary=False, num_sanity_val_steps=0, callbacks=[Watch(clock, data)])
    with suppress(Over):
        trainer.fit(Classifier(recipe, model, len(loader), asked.workload == "cifar10"), loader)


if __name__ == "__main__":
    main()
