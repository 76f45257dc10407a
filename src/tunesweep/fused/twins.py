"""Networks around the same frozen tensors: a backbone is loaded once, and each run has a twin of it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tunesweep import random_states
from tunesweep.config import RunConfig
from tunesweep.fused.carrier import twin
from tunesweep.methods.attach import promised
from tunesweep.models.readouts import Readout


class Shelf:
    """Bare networks by the seed that their new weights were drawn with."""

    def __init__(self) -> None:
        self._bare: dict[int, tuple[Readout, random_states.States]] = {}

    def network(self, config: RunConfig, load: Callable[[], Readout]) -> Readout:
        """Return a twin whose trained tensors are its own; random generators stand as loading leaves them."""
        seed = config.seeds.init
        if seed not in self._bare:
            bare = load()
            states = random_states.capture()
            if self._bare:
                share(bare, self.frame)
            self._bare[seed] = bare, states
        bare, states = self._bare[seed]
        found = twin(bare)
        own_what_is_trained(found, config)
        random_states.restore(states)
        return found

    @property
    def frame(self) -> Readout:
        """Return the bare network whose tensors all others hold; nobody may train it."""
        return next(iter(self._bare.values()))[0]

    def clear(self) -> None:
        """Let all of them go."""
        self._bare.clear()


def share(network: Readout, frame: Readout) -> None:
    """Let a network hold the tensors of another one wherever they are equal: new heads may differ."""
    theirs = dict(frame.named_parameters(remove_duplicate=False))
    for path, module in network.named_modules():
        for name, own in module._parameters.items():
            other = theirs[f"{path}.{name}" if path else name]
            if own is not None and own.shape == other.shape and bool((own == other).all()):
                module._parameters[name] = other


def own_what_is_trained(network: Readout, config: RunConfig) -> None:
    """Give a twin tensors of its own for what its method changes of the base, and for the head."""
    for path, module in network.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and promised(f"{path}.{name}" if path else name, config):
                own = nn.Parameter(parameter.detach().clone(), requires_grad=True)
                module._parameters[name] = own
