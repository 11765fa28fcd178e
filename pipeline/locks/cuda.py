"""CUDA versions of image.toml, the manifest and the base image, compared with each other."""

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.errors import Code, LockError
from pipeline.locks.manifest import Manifest, version


def check_cuda(spec: ImageSpec, manifest: Manifest, subdir: str) -> None:
    """Compare the CUDA versions of image.toml and the manifest.

    Raises:
        LockError: the manifest asks for a newer one, or image.toml has none.
    """
    found = manifest.required_cuda(spec.environment, subdir)
    if found is None:
        return
    wanted, way = found
    image = f"{manifest.image}/{SPEC}"
    requires = f"environment '{spec.environment}' of {manifest.name} requires CUDA {wanted}"
    if spec.cuda is None:
        raise LockError(
            Code.CUDA_MISMATCH,
            f"{requires}, but {image} has no key 'cuda'; add cuda = \"{wanted}\"",
            at={manifest.name: (way,)},
        )
    if version(spec.cuda) < version(wanted):
        raise LockError(
            Code.CUDA_MISMATCH,
            f"{image}: key 'cuda' is {spec.cuda}, but {requires}; make them the same",
            at={manifest.name: (way,), image: (("cuda",),)},
        )


def check_base(image: str, spec: ImageSpec, base: str, base_cuda: str | None) -> None:
    """Compare the CUDA version of image.toml with that of the base image, from its ``CUDA_VERSION``.

    Raises:
        LockError: the base image is of an older CUDA than the image is built for.
    """
    if spec.cuda and base_cuda and version(base_cuda) < version(spec.cuda):
        raise LockError(
            Code.CUDA_MISMATCH,
            f"{image}/image.toml: key 'cuda' is {spec.cuda}, but the base image {base} is of CUDA {base_cuda}; "
            "choose a newer base or an older CUDA",
            at={f"{image}/image.toml": (("cuda",),)},
        )
