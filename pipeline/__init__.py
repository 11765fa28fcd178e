"""Build, test and publish the container images of MaNIAC Lab.

An image is a top-level folder with an image.toml; `images` lists them. Nothing but a Dagger engine is needed:

  dagger call images
  dagger call build --image ml_platform
  dagger call build --image ml_platform terminal
  dagger call smoke-test --image ml_platform
"""
