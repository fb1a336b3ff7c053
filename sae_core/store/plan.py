"""What is trained, and on what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from sae_core.models.configs import PIXELS
from sae_core.store import catalogue
from sae_core.training.loop import TrainOptions


@dataclass(frozen=True)
class Plan:
    """What is trained, and on what. Two equal plans give the same model."""

    variant: str
    config: Any
    """the variant's own options"""
    options: TrainOptions
    data: str
    """name of the data set"""
    split: str
    n: int
    """training images"""
    fingerprint: str
    """of the training images"""

    @property
    def hash(self) -> str:
        """Twelve hex digits of everything above, by which a model is found again."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def default_name(self) -> str:
        """For example "topk-1024-k50"; the data set is named when it is not MNIST."""
        config = self.config
        k, members = getattr(config, "k", None), getattr(config, "members", 1)
        reads = getattr(config, "reads", PIXELS).partition("@")[0]
        parts = [
            "ensemble" if members > 1 else "",
            self.variant.replace("_", "-"),
            str(getattr(config, "d_sae", config.d_in)),
            f"k{k}" if k else "",
            reads if reads != PIXELS else "",
            self.data if self.data != "mnist" else "",
        ]
        return "-".join(p for p in parts if p)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, the same for the same plan."""
        return {"format_version": catalogue.FORMAT_VERSION, **asdict(self)}
