"""What does equivariance cost beside a plain network of equal channels and multiply-accumulates, and where does it go?

    python benchmarks/equivariance.py                          one thread, float32, then mixed_bfloat16
    python benchmarks/equivariance.py --threads 2 --batch 64

Networks are measured in turn, round after round, by the seconds the process computed (of the wall on a card), and told
as ratios of the rounds' medians, so that other load on the machine weighs on all alike. The pieces (expanding kernels,
normalisation, convolution) are measured alone, forward and back, at the shapes they have in `d4_resnet`. TensorFlow
only.

Measured with --batch 16 --rounds 5, one thread of an AMD EPYC (Zen 5) that others were using too, patches per second
of computing and their ratio to the plain network of equal channels and multiply-accumulates (146M):

                                     float32                    mixed_bfloat16
                                     training     prediction    training     prediction
    small_resnet                     188          600           253          903
    d4_resnet                        172  .91     591   .99     211   .83    894   .99
    d4_resnet, folded                              611  1.02
    d4_resnet, stem halved (39M)     584  3.10    1,837 3.06    563   2.23   2,128 2.36
    d4_resnet, stem halved, folded                 2,258 3.76

(A folded network in bfloat16 has kept its normalisations since, and was not measured again; nor was the default
`d4_resnet`, which is larger.)

Of a training step of 16 (93 ms in float32, 76 ms in bfloat16; the plain network's 85 and 63): convolution 52 and 37,
tied normalisation 20 and 22 (plain normalisation 13 and 14), expanding kernels 2.4 and 4.8. What the plain network does
not pay is the normalisation's second pass and the expansion.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from histoblend.models.dihedral_fold import folded_model
from histoblend.models.dihedral_layers import DihedralConvolution, TiedBatchNormalization
from histoblend.models.graph import calls
from histoblend.models.layers import BatchNormalization
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.models.summary import count_macs

ROUNDS = 12
PLAIN, OURS, HALVED = "small_resnet", "d4_resnet", "d4_resnet, stem halved"
LAYOUT = {
    "fields": [2, 4, 8, 16],
    "blocks": [1, 1, 1, 1],
}  # as many channels in each stage as the plain network has
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    PLAIN: ("small_resnet", {}),
    OURS: ("d4_resnet", {"stem": "full", **LAYOUT}),
    HALVED: ("d4_resnet", {"stem": "halved", **LAYOUT}),
}

Step = Callable[[], Any]


def clock() -> Callable[[], float]:
    """Seconds this process computed, on a CPU, which others may share; of the wall on a card."""
    return time.perf_counter if tf.config.list_physical_devices("GPU") else time.process_time


def medians(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """Median seconds of each step, all taken once in every round."""
    now = clock()
    for step in steps.values():
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = now()
            step()
            seconds[name].append(now() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare_networks(precision: str, batch: int, rounds: int) -> None:
    """Print patches per second of training and prediction, and their ratios to the plain network's."""
    keras.config.set_dtype_policy(precision)
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (batch, 96, 96, 3), dtype=np.uint8)
    labels = generator.integers(0, 2, (batch, 1)).astype(np.float32)
    training: dict[str, Step] = {}
    predicting: dict[str, Step] = {}
    macs = {}
    for name, (network, parameters) in NETWORKS.items():
        model = build_network(network, parameters, Problem())
        model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
        training[name] = lambda model=model: model.train_on_batch(patches, labels)
        predicting[name] = lambda model=model: model.predict_on_batch(patches)
        macs[name] = count_macs(model)
        if name != PLAIN:
            folded = folded_model(model)
            predicting[f"{name}, folded"] = lambda folded=folded: folded.predict_on_batch(patches)
    for title, steps in (("training", training), ("prediction", predicting)):
        taken = medians(steps, rounds)
        for name, seconds in taken.items():
            rate, ratio = batch / seconds, taken[PLAIN] / seconds
            million = macs[name.removesuffix(", folded")] / 1e6
            print(
                f"{precision:15} {title:10} {name:32} {million:4.0f}M {rate:6.0f}/s  {ratio:5.2f} x plain",
                flush=True,
            )


def there_and_back(function: Callable[..., Any], *inputs: Any) -> Step:
    """A compiled step: `function` of the inputs and the gradient of its sum by each."""

    @tf.function(autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return tape.gradient(outputs, inputs)

    return step


def pieces(precision: str, batch: int) -> dict[str, list[Step]]:
    """The parts of a training step of `d4_resnet`, each of its calls alone; plain counterparts beside them."""
    keras.config.set_dtype_policy(precision)
    dtype = keras.config.dtype_policy().compute_dtype
    model = build_network(*NETWORKS[OURS], Problem())
    found: dict[str, list[Step]] = {
        "expanding kernels": [], "convolution": [], "tied normalisation": [], "plain normalisation": [],
    }  # fmt: skip
    for call in calls(model):
        layer, shape = call.operation, call.inputs[0].shape
        values = tf.cast(tf.random.normal((batch, *shape[1:])), dtype)
        if isinstance(layer, DihedralConvolution):
            full = tf.cast(layer.full_kernel(), dtype)
            stride = layer.strides
            convolve = lambda x, kernel, stride=stride: tf.nn.conv2d(x, kernel, stride, "SAME")  # noqa: E731
            found["convolution"].append(there_and_back(convolve, values, full))
            found["expanding kernels"].append(expanding(layer, full))
        elif isinstance(layer, TiedBatchNormalization):
            found["tied normalisation"].append(normalising(layer, values))
            plain = BatchNormalization()
            plain.build(values.shape)
            found["plain normalisation"].append(normalising(plain, values))
    return found


def expanding(layer: DihedralConvolution, full: Any) -> Step:
    """Expand the layer's kernel, and bring a gradient of the whole back to the one."""

    @tf.function(autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            kernel = tf.cast(layer.kernel.value, full.dtype)
            tape.watch(kernel)
            outputs = tf.reduce_sum(layer_expanded(layer, kernel) * full)
        return tape.gradient(outputs, kernel)

    return step


def layer_expanded(layer: DihedralConvolution, kernel: Any) -> Any:
    """The full kernel, of a value of the one kernel."""
    from histoblend.models.dihedral_layers import expanded_kernel

    return expanded_kernel(kernel, layer._sources)


def normalising(layer: keras.layers.Layer, values: Any) -> Step:
    """A normalisation with the batch's own statistics."""
    return there_and_back(lambda x: layer(x, training=True), values)


def show_pieces(precision: str, batch: int, rounds: int) -> None:
    """Print the seconds of each piece, summed over its calls."""
    found = pieces(precision, batch)
    together = {name: (lambda steps=steps: [step() for step in steps]) for name, steps in found.items()}
    for name, seconds in medians(together, rounds).items():
        print(f"{precision:15} {name:20} {seconds * 1e3:8.1f} ms a step of {batch}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    arguments = parser.parse_args()
    if arguments.threads:
        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    for precision in arguments.precisions:
        compare_networks(precision, arguments.batch, arguments.rounds)
        show_pieces(precision, arguments.batch, arguments.rounds)


if __name__ == "__main__":
    main()
