"""CRCKD: a student learns how a teacher relates images to one another and to the classes (Xing et al., MICCAI 2021).

The terms, constants, memory and sampling are those of the authors' published code (github.com/hathawayxxh/CRCKD). Different here:

- The teacher is a network of its own, trained before and frozen. The authors' is a moving average of the student while it learns.
- Teacher and student see the same view of an image; the authors' teacher sees one that is turned or mirrored.
- Positives and negatives are drawn with replacement; theirs without, where there are enough.
- A class's centroid is the mean of those of its images that have been seen. Theirs is a mean after a ReLU, and begins as noise.
- The prediction term has its whole weight from the start of its epochs; theirs rises over 30.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import kl_div, log_softmax, normalize, softplus

from nevus.recipe import DistillationRecipe


def contrast_loss(positive: torch.Tensor, negative: torch.Tensor, log_noise: torch.Tensor) -> torch.Tensor:
    """−mean over anchors of [mean over P of log h(x) + sum over K of log(1 − h(x))], h(x) = x / (x + K / M).

    Noise-contrastive estimation as in CRD (Tian et al. 2020, equations 17 to 19), with several positives an anchor.

    Parameters
    ----------
    positive, negative
        log x, (N, P) and (N, K): similarity / temperature − log of the normaliser.
    log_noise
        log(K / M), M the number of images that are remembered.

    Examples
    --------
    >>> zero = torch.zeros(1, 1)
    >>> round(contrast_loss(zero, zero, torch.tensor(0.0)).item(), 4)
    1.3863
    """
    agree = softplus(log_noise - positive).mean(dim=1)
    differ = softplus(negative - log_noise).sum(dim=1)
    return (agree + differ).mean()


def divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """KL(teacher ‖ student) of softmax over the classes (N, C), the mean over images; no gradient to the teacher."""
    return kl_div(log_softmax(student, 1), log_softmax(teacher.detach(), 1), reduction="batchmean", log_target=True)


class RelationDistillation(nn.Module):
    """Class-guided contrastive distillation (CCD), categorical relation preserving (CRP), and the teacher's predictions.

    Both networks' penultimate features are projected to the unit sphere. A memory holds the projections of every training image,
    for the student and for the teacher. CCD draws an image towards the other network's images of its class and away from those
    of other classes; CRP makes the student's similarities to its class centroids those of the teacher to its own.

    Parameters
    ----------
    recipe
        Weights, temperature and sizes.
    num_student, num_teacher
        Widths of the penultimate features.
    targets
        int64 (M,), the classes of the training images.
    num_classes
        C.
    seed
        Of the projections' and the memory's first values.

    Examples
    --------
    >>> distillation = RelationDistillation(DistillationRecipe(), 8, 16, np.array([0, 0, 1, 1]), num_classes=2, seed=0)
    >>> places, logits = torch.tensor([0, 2]), torch.zeros(2, 2)
    >>> bool(distillation(torch.randn(2, 8), torch.randn(2, 16), logits, logits, places, late=True) > 0)
    True
    """

    student: torch.Tensor
    teacher: torch.Tensor
    seen: torch.Tensor
    log_scales: torch.Tensor
    _targets: torch.Tensor
    _counts: torch.Tensor
    _starts: torch.Tensor
    _order: torch.Tensor

    def __init__(
        self,
        recipe: DistillationRecipe,
        num_student: int,
        num_teacher: int,
        targets: NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self._recipe = recipe
        self.embed_student = nn.Linear(num_student, recipe.dimensions)
        self.embed_teacher = nn.Linear(num_teacher, recipe.dimensions)
        for name in ("student", "teacher"):
            memory = (2 * torch.rand(len(targets), recipe.dimensions) - 1) * (3 / recipe.dimensions) ** 0.5
            self.register_buffer(name, memory)
        self.register_buffer("seen", torch.zeros(len(targets), dtype=torch.bool))
        # Of the scores against the teacher's memory and the student's; the first batch sets them.
        self.register_buffer("log_scales", torch.full((2,), torch.nan))
        counts = np.bincount(targets, minlength=num_classes)
        self.register_buffer("_targets", torch.from_numpy(targets), persistent=False)
        self.register_buffer("_counts", torch.from_numpy(counts), persistent=False)
        self.register_buffer("_starts", torch.from_numpy(np.cumsum(counts) - counts), persistent=False)
        self.register_buffer("_order", torch.from_numpy(np.argsort(targets, kind="stable")), persistent=False)

    def forward(
        self,
        student_features: torch.Tensor,
        teacher_features: torch.Tensor,
        student_logits: torch.Tensor,
        teacher_logits: torch.Tensor,
        places: torch.Tensor,
        late: bool,
    ) -> torch.Tensor:
        """The weighted sum of the terms, and the batch remembered.

        Parameters
        ----------
        student_features, teacher_features
            Float32 (N, num_student) and (N, num_teacher).
        student_logits, teacher_logits
            Float32 (N, C).
        places
            int64 (N,), the images' places among the training images.
        late
            Whether CRP and the predictions count yet; the contrast does from the first step.
        """
        student = normalize(self.embed_student(student_features), dim=1)
        teacher = normalize(self.embed_teacher(teacher_features.detach()), dim=1)
        loss = self._recipe.contrast * self.contrast(student, teacher, places)
        self._remember(student, teacher, places)
        if late:
            loss = loss + self._recipe.relation * self.relation(student, teacher)
            loss = loss + self._recipe.prediction * divergence(student_logits, teacher_logits)
        return loss

    def contrast(self, student: torch.Tensor, teacher: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """CCD: student against the teacher's memory and teacher against the student's, unit vectors (N, D)."""
        positives, negatives = self._draw(places)
        log_noise = torch.log(torch.tensor(negatives.shape[1] / len(self.seen), device=student.device))
        loss = student.new_zeros(())
        for index, (anchors, memory) in enumerate(((student, self.teacher), (teacher, self.student))):
            near, far = (torch.einsum("nd,nkd->nk", anchors, memory[drawn]) for drawn in (positives, negatives))
            near, far = near / self._recipe.temperature, far / self._recipe.temperature
            if self.log_scales[index].isnan():
                scores = torch.cat([near, far], dim=1).detach()
                self.log_scales[index] = torch.logsumexp(scores.flatten(), 0) - np.log(scores.numel()) + np.log(len(self.seen))
            scale = self.log_scales[index].clone()
            loss = loss + contrast_loss(near - scale, far - scale, log_noise)
        return loss

    def relation(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """CRP: KL between the networks' softmax of cosine / temperature to the centroids of the classes seen so far."""
        similarities = []
        for anchors, memory in ((student, self.student), (teacher, self.teacher)):
            sums = memory.new_zeros(len(self._counts), memory.shape[1])
            sums.index_add_(0, self._targets[self.seen], memory[self.seen])
            known = torch.bincount(self._targets[self.seen], minlength=len(sums)) > 0
            similarities.append(anchors @ normalize(sums[known], dim=1).T / self._recipe.temperature)
        return divergence(*similarities)

    def _draw(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Places (N, P) of the anchors' classes, the anchor first, and (N, K) of other classes."""
        targets = self._targets[places]
        starts, counts = self._starts[targets][:, None], self._counts[targets][:, None]
        same = torch.rand(len(places), self._recipe.num_positives, device=places.device)
        positives = self._order[starts + (same * counts).long()]
        positives[:, 0] = places
        others = len(self.seen) - counts
        apart = (torch.rand(len(places), self._recipe.num_negatives, device=places.device) * others).long()
        return positives, self._order[torch.where(apart < starts, apart, apart + counts)]

    @torch.no_grad()
    def _remember(self, student: torch.Tensor, teacher: torch.Tensor, places: torch.Tensor) -> None:
        for memory, values in ((self.student, student), (self.teacher, teacher)):
            memory[places] = normalize(memory[places].lerp(values, 1 - self._recipe.momentum), dim=1)
        self.seen[places] = True
