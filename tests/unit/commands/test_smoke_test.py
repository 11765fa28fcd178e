from pipeline.commands.smoke_test import require_gpu_probe
from pipeline.config.image_toml import ImageSpec
from pipeline.config.probes import Probes
from pipeline.errors import Code
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


def test_a_gpu_for_nothing_is_refused(checkout: CheckoutFolder) -> None:
    """--gpu with images none of whose probes looks for a GPU is a mistake, not a success."""
    with refused(Code.OPTION_CONFLICT, "--gpu", "small", "tensorflow", "'scripts' of [probes]"):
        require_gpu_probe([checkout.source(ImageSpec(description="x"))])
    require_gpu_probe([checkout.source(ImageSpec(description="x", probes=Probes(scripts=("python", "tensorflow"))))])
