"""Research sweeps over ways of fine-tuning language models."""

__version__ = "0.1.0"
