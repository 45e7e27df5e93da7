"""What a run can say of its model and training, a subject a function: a sentence or more, or nothing where it is not recorded."""

from typing import Any

from nevus.reports.data_account import is_network, setting
from nevus.reports.run import Run
from nevus.reports.wording import class_name, count

_ATTENTION = {"none": "no attention", "zoom_se": "Zoom-SE channel attention", "soft": "soft attention"}
_FUSION = {
    "none": "no metadata",
    "multiply": "metadata multiplied into the features",
    "concat": "metadata appended to the features",
}
_LOSS = {
    "cross_entropy": "cross-entropy, every image counting alike",
    "class_weighted": "cross-entropy, each image weighted by one over its class's share of the training images",
    "logit_adjusted": "cross-entropy with the logarithm of each class's share added to its logit, so that the network answers at "
    "equal shares",
    "focal": "focal loss",
}
_MONITOR = {
    "auc": "the epoch with the best AUC",
    "balanced_accuracy": "the epoch with the best balanced accuracy",
    "accuracy": "the epoch with the best accuracy",
    "loss": "the epoch with the lowest loss",
    "last": "the last epoch",
}


def network(run: Run) -> str:
    """Backbone, attention, fusion and head."""
    if not is_network(run):
        return ""
    model = run.recipe["model"]
    attention, fusion = (model[part]["kind"] for part in ("attention", "fusion"))
    head = f"a hidden layer of {model['hidden']} and a linear one" if model.get("hidden") else "one linear layer"
    size, classes = setting(run, "data.size"), [class_name(name) for name in run.evaluation["classes"]]
    return (
        f"{model['backbone']} up to its tap {model['tap']}, {_ATTENTION.get(attention, attention)}, "
        f"{_FUSION.get(fusion, f'metadata fused by {fusion}')}, {model['pooling']} pooling, dropout {model['dropout']:g}, "
        f"{head}. Input {size} × {size} pixels; output a probability for each of {', '.join(classes)}."
    )


def initialisation(run: Run) -> str:
    """Where the first weights come from."""
    if not is_network(run):
        return ""
    pretrained = setting(run, "model.pretrained", "none")
    known = {
        "none": "The backbone starts from random weights",
        "package": "The backbone starts from ImageNet weights of a package",
    }
    return f"{known.get(pretrained, f'The backbone starts from the weights {pretrained}')}; all else starts from random weights."


def encoding(run: Run) -> str:
    """How metadata become numbers."""
    fields = setting(run, "data.metadata") or ()
    if not is_network(run) or not fields:
        return ""
    ways = {
        "age": "age as (age − mean) / standard deviation of the training rows",
        "sex": "sex one-hot",
        "site": "body site one-hot",
    }
    words = "; ".join(ways.get(name, name) for name in fields)
    return f"{words[0].upper()}{words[1:]}; each with a place of its own for missing."


def training(run: Run) -> str:
    """Optimiser, schedule, epochs, augmentation."""
    if not is_network(run):
        return ""
    recipe = run.recipe["training"]
    optimiser = recipe["optimiser"]
    return (
        f"{optimiser['kind']}, learning rate {optimiser['learning_rate']:g}, weight decay {optimiser['weight_decay']:g}, "
        f"{recipe['schedule']['kind']} schedule, {count(recipe['epochs'], 'epoch')} at most, batches of {recipe['batch_size']}, "
        f"seed {recipe['seed']}. Loss: {_loss(run)}. Augmentation: {_augmentation(run)}."
    )


def imbalance(run: Run) -> str:
    """What the loss and the sampler do about rare classes."""
    if not is_network(run):
        return ""
    sampler = setting(run, "training.sampler", "once")
    drawn = " Each image is drawn once an epoch." if sampler == "once" else f" Images are drawn by the sampler {sampler}."
    return f"Loss: {_loss(run)}.{drawn} One temperature, fitted on validation images, calibrates the probabilities."


def selection(run: Run) -> str:
    """Which epoch is kept, and on which images that was decided."""
    if not is_network(run):
        return ""
    chosen = _MONITOR[setting(run, "training.monitor")]
    tested = run.protocol in ("paper-2022", "paper-datta")
    where = "" if chosen == "the last epoch" else " on the test images themselves" if tested else " on validation images"
    averaged = " of the running average of the weights" if setting(run, "training.ema", 0) else ""
    return f"{chosen[0].upper()}{chosen[1:]}{where}{averaged} is kept. The settings of the recipe were the same in every fold."


def ensembling(run: Run) -> str:
    """Views that are averaged; the folds' networks are not."""
    if not is_network(run):
        return ""
    views = int(setting(run, "data.views", 1))
    seen = "one view of the image" if views == 1 else f"the mean of the logits over {views} mirrored views of the image"
    shares = setting(run, "data.central", (1.0,))
    parts = " and of ".join("the whole" if share == 1 else f"the central {share:g} of its sides" for share in shares)
    sizes = " and ".join(str(size) for size in (setting(run, "data.size"), *setting(run, "data.resolutions", ())))
    seen += f", of {parts}, at {sizes} pixels"
    return f"No networks are combined: each image is answered by the network of its own fold, from {seen}."


def software(run: Run) -> str:
    """Versions, commit and hardware."""
    made = run.provenance
    if not made.get("nevus"):
        return ""
    packages = ", ".join(f"{name} {version}" for name, version in (made.get("packages") or {}).items())
    return f"nevus {made['nevus']}, {packages}. Hardware: {made.get('hardware', 'not recorded')}."


def code(run: Run) -> str:
    """Program, commit and command."""
    made = run.provenance
    if not made.get("commit"):
        return ""
    return f"nevus {made['nevus']} (open source, Apache-2.0), commit {made['commit']}. Command: {made['command']}."


def model(run: Run) -> str:
    """The network, its training and its selection together."""
    return " ".join(part for part in (network(run), training(run), selection(run)) if part)


def recipe(run: Run) -> str:
    """That the recipe is on the page."""
    return (
        "The recipe, the folds and the manifest's SHA-256 are recorded: every setting can be read and run again."
        if run.recipe
        else ""
    )


def specification(run: Run) -> str:
    """The folds' bundles."""
    bundles = sorted(run.folder.glob("fold-*/bundle/bundle.json"))
    if not bundles:
        return ""
    return (
        f"{count(len(bundles), 'bundle')} in the run's folder: weights, preprocessing, classes, metadata, threshold and "
        "temperature, each file with its SHA-256. Their use is bound by the licences of the training images."
    )


def predictions(run: Run) -> str:
    """By which code the answers were made."""
    return "By the bundle of each fold, through the one code that also answers in use." if is_network(run) else ""


def updating(run: Run) -> str:
    """None after the evaluation."""
    none = "None: the figures are those of the model as it was trained; it was not updated or recalibrated on test images."
    return none if is_network(run) and run.protocol == "strict" else ""


def _loss(run: Run) -> str:
    loss: dict[str, Any] = run.recipe["training"]["loss"]
    words: str = _LOSS.get(loss["kind"], loss["kind"])
    if loss["kind"] == "focal":
        words += f" (α {loss['alpha']:g} for the {loss['alpha_for']} class, γ {loss['gamma']:g})"
    return words


def _augmentation(run: Run) -> str:
    """The settings that do something, by their names in the recipe."""
    settings: dict[str, Any] = setting(run, "data.augment", {})
    idle = set() if settings.get("cutout") else {"cutout_side"}
    used = [
        f"{name} {value:g}" for name, value in settings.items() if isinstance(value, int | float) and value and name not in idle
    ]
    kind = setting(run, "data.augment.randaugment.kind", "none")
    return ", ".join([*used, *([] if kind == "none" else [f"RandAugment ({kind})"])]) or "none"
