import pytest

from pipeline.commands.smoke_test import require_gpu_probe
from pipeline.config.image_toml import ImageSpec
from pipeline.config.probes import Probes
from pipeline.errors import PipelineError
from tests.unit.conftest import CheckoutFolder


def test_a_gpu_for_nothing_is_refused(checkout: CheckoutFolder) -> None:
    """--gpu with images none of whose probes looks for a GPU is a mistake, not a success."""
    with pytest.raises(PipelineError, match=r"^--gpu was given, but no probe of small looks for a GPU; add tensorflow"):
        require_gpu_probe([checkout.source(ImageSpec(description="x"))])
    require_gpu_probe([checkout.source(ImageSpec(description="x", probes=Probes(scripts=("python", "tensorflow"))))])
