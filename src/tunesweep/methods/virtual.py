"""Virtual tokens: PEFT's models, corrected where they would read another token than the last real one.

Virtual tokens stand before the text and padding after it. Then positions of real tokens do not depend
on padding, and `hidden[:, -tokens:]` are the states of the text. PEFT is wrong in two places:

- A decoder's classification model finds its last token by the ids. With virtual tokens it gets
  embeddings and takes the last column, which is padding in every row but the longest. Here padding
  is moved to the left, with positions that are counted over real tokens.
- A feature-extraction model drops token types with a warning, and returns states of virtual tokens
  before those of the text. Here the types are dropped silently, and only the text's states are returned.

A single text without padding gives what PEFT alone gives: an artefact needs nothing of this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def settle(body: nn.Module) -> None:
    """Correct PEFT's model in place, if it puts virtual tokens before the text."""
    if not count(body):
        return
    from peft import PeftModelForFeatureExtraction, PeftModelForSequenceClassification

    if isinstance(body, PeftModelForFeatureExtraction):
        body.__class__ = _features(PeftModelForFeatureExtraction)
    elif isinstance(body, PeftModelForSequenceClassification) and _reads_last(body) and not _prefix(body):
        body.__class__ = _classifier(PeftModelForSequenceClassification)


def count(body: nn.Module) -> int:
    """Return how many virtual tokens stand before a text."""
    active = getattr(body, "active_peft_config", None)
    return int(active.num_virtual_tokens) if active is not None and active.is_prompt_learning else 0


def _prefix(body: Any) -> bool:
    """Whether virtual tokens are keys and values, beside the input instead of in it."""
    return "PREFIX" in str(body.active_peft_config.peft_type)


def _reads_last(body: Any) -> bool:
    from transformers.modeling_layers import GenericForSequenceClassification

    return isinstance(body.get_base_model(), GenericForSequenceClassification)


def _classifier(parent: Any) -> Any:
    class LastRealToken(parent):  # type: ignore[misc]
        """PEFT's classification model of a decoder."""

        def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Any:
            """Return the output of the base model at each row's last real token."""
            prompts = self.get_prompt(batch_size=len(input_ids))
            embedded = self.word_embeddings(input_ids)
            embedded = torch.cat((prompts.to(embedded.dtype), embedded), dim=1)
            mask = torch.cat((attention_mask.new_ones(prompts.shape[:2]), attention_mask), dim=1)
            embedded, mask = padding_first(embedded, mask)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            return self.base_model(
                inputs_embeds=embedded, attention_mask=mask, position_ids=positions, **inputs
            )

    return LastRealToken


def _features(parent: Any) -> Any:
    class RealTokens(parent):  # type: ignore[misc]
        """PEFT's feature-extraction model."""

        def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None, **inputs: Any) -> Any:
            """Return the output of the base model, with the states of the text alone."""
            output = super().forward(input_ids=input_ids, **inputs)
            output.last_hidden_state = output.last_hidden_state[:, -input_ids.shape[1] :]
            return output

    return RealTokens


def padding_first(embedded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move padding from the right to the left: embeddings [batch, tokens, width], mask [batch, tokens]."""
    shifts = mask.shape[1] - mask.sum(1, keepdim=True)
    columns = (torch.arange(mask.shape[1], device=mask.device) - shifts) % mask.shape[1]
    rows = torch.arange(len(mask), device=mask.device).unsqueeze(1)
    return embedded[rows, columns], mask.gather(1, columns)
