"""Recognition by a trained classifier, of a model that may have one, and what else training leaves beside weights."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import torch
from torch import Tensor

from .extractor import BatchExtractor, Images, finite, pooled
from .heads import Heads
from .io.images import Kind
from .io.weights import WeightsError


class Classifier(BatchExtractor):
    """Names pictures of the classes that training for recognition has taught it, if it was trained so."""

    heads: Heads

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write all that is needed to load it from a folder."""

    def heads_for(self, task: str) -> Heads:
        """Give what training for a task has left beside its light weights; nothing where there are none for it."""
        other = self.for_task(task) if self.serves(task) else None
        return other.heads if isinstance(other, Classifier) else Heads()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that training for recognition has taught it to tell apart; empty without such a training."""
        classifier = self._recogniser().heads.classifier
        return classifier.labels if classifier else ()

    def classify(self, images: Images, kind: Kind = "sketch", batch_size: int = 8) -> Tensor:
        """Give the logits (N, len(classes)) of pictures, float32 on the CPU; ValueError if there are no classes."""
        model = self._recogniser()
        if model.heads.classifier is None:
            raise ValueError(f"{self.name} has no classifier; `sketchfusion train recognition` makes one")
        rows = [torch.empty(0, len(model.heads.classifier.labels))]
        for views in model._batches(images, kind, batch_size):
            with torch.no_grad():
                rows.append(model.heads.classifier(pooled(model.maps(views), views)).cpu())
        return finite(torch.cat(rows), model.name)

    def _recogniser(self) -> Classifier:
        try:
            other = self.for_task("recognition")
        except WeightsError:  # it was trained for something else
            return self
        return other if isinstance(other, Classifier) else self
