from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.images import list_images
from pipeline.config.settings import Settings
from pipeline.errors import Code
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


def test_one_image_that_cannot_be_used_hides_no_other(checkout: CheckoutFolder) -> None:
    """The list is there, below what is to be corrected."""
    opened = Checkout(dag.directory(), checkout.path, Settings())
    assert list_images(opened) == "small  A small image\n"
    checkout.write("another/image.toml", "descripton = 'x'\n")
    with refused(Code.CHECK_FAILED, "another/image.toml", "'descripton'", "small  A small image"):
        list_images(Checkout(dag.directory(), checkout.path, Settings()))
