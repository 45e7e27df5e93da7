"""Claim: a bundle's ONNX graph, pixels to probabilities, answers for one image twice as fast as eager torch, two threads each."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from nevus.data.metadata import MetadataEncoder
from nevus.exporters.onnx import export_onnx
from nevus.exporters.served import Served
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe
from result import conclude, finish, rates, show

SIZE, NUM_METADATA, CALLS = 224, 14, 20


def main() -> None:
    torch.set_num_threads(2)
    network = LesionClassifier(ModelRecipe(backbone="mobilenetv3_large_100"), 7, NUM_METADATA, SIZE).eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        preprocessing = {"size": SIZE, "resolutions": [], "views": 1}
        export_onnx(Served(network, MetadataEncoder(("age", "sex", "site")), preprocessing, 1.0), path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    photo = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)

    def ours() -> None:
        for _ in range(CALLS):
            session.run(["probabilities"], {"images": photo})

    def theirs() -> None:
        with torch.inference_mode():
            for _ in range(CALLS):
                network(image)

    measured = rates({"ONNX Runtime": (CALLS, ours), "eager torch": (CALLS, theirs)})
    show("inference", "images/s, batch 1", measured)
    conclude("inference", measured, ours="ONNX Runtime", peer="eager torch", bar=2.0, unit="images/s, batch 1")
    finish()


if __name__ == "__main__":
    main()
