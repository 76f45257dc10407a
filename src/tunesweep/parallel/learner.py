"""The learner of one process among several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunesweep.data.batches import Batch
from tunesweep.parallel.batches import RankBatches
from tunesweep.tasks.learner import Learner

CALLED = ("nll", "generate")  # what tasks ask of a network beside a call


class JointLearner(Learner):
    """Trains on its part of each global batch, and sums what is said of an epoch over all processes."""

    def on_train_start(self) -> None:
        """Let dropout differ between processes, as it does between examples."""
        torch.manual_seed((self.config.seeds.init << 16) + self.global_rank)

    def training_step(self, batch: Batch, position: int) -> Tensor:
        """Return the weighted loss of a micro-batch; one that does not count leaves no trace."""
        loss = super().training_step(batch, position)
        assert isinstance(self.data.batches, RankBatches)
        if not self.data.batches.counts(position):
            self.course.sums.pop()
            self.course.terms.pop()
        return loss

    def _train_loss(self) -> float:
        totals = torch.tensor(
            [self._total(self.course.sums), self._total(self.course.terms)], device=self.device
        )
        sums, terms = self.trainer.strategy.reduce(totals, reduce_op="sum").tolist()
        return float(sums / terms)

    def _total(self, parts: list[Tensor]) -> float:
        return sum(float(part.sum()) for part in parts)


class ShardedLearner(JointLearner):
    """Holds but a part of every weight, and brings the others in for as long as a layer computes (FSDP2)."""

    def configure_model(self) -> None:
        """Shard the layers, then what is outside of them."""
        assert self.device_mesh is not None
        shard(self.network, self.device_mesh["data_parallel"])


def shard(network: nn.Module, mesh: object) -> None:
    """Spread all parameters over the processes of a mesh, layer by layer."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    for layer in layers(network):
        fully_shard(layer, mesh=mesh)  # type: ignore[call-overload]
    fully_shard(network, mesh=mesh)  # type: ignore[call-overload]
    for name in CALLED:
        if hasattr(network, name):
            register_fsdp_forward_method(network, name)


def layers(network: nn.Module) -> list[nn.Module]:
    """Return what transformers says must stay on one device: the layers of an architecture."""
    kinds = {
        name for module in network.modules() for name in getattr(module, "_no_split_modules", None) or ()
    }
    return [module for module in network.modules() if type(module).__name__ in kinds]
