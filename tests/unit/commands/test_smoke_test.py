import pytest
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.smoke_test import require_gpu_probe, smoke_test
from pipeline.config.image_toml import ImageSpec
from pipeline.config.probes import Probes
from pipeline.config.settings import Settings
from pipeline.errors import Code, SpecError
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


def test_a_gpu_for_nothing_is_refused(checkout: CheckoutFolder) -> None:
    """--gpu with images none of whose probes looks for a GPU is a mistake, not a success."""
    with refused(Code.OPTION_CONFLICT, "--gpu", "small", "tensorflow", "'scripts' of [probes]"):
        require_gpu_probe([checkout.source(ImageSpec(description="x"))])
    require_gpu_probe([checkout.source(ImageSpec(description="x", probes=Probes(scripts=("python", "tensorflow"))))])


@pytest.mark.asyncio
async def test_an_image_toml_that_cannot_be_used_is_a_result(checkout: CheckoutFolder) -> None:
    """Among those of all images; an image that was named cannot be tested."""
    checkout.write("small/image.toml", "descripton = 'x'\n")
    opened = Checkout(dag.directory(), checkout.path, Settings())
    (image,) = (await smoke_test(opened, None, gpu=False)).not_built
    assert image.image == "small"
    assert image.reason.startswith("small/image.toml: key 'description' is missing")
    with pytest.raises(SpecError):
        await smoke_test(opened, "small", gpu=False)
