"The packages and their data; what is said of them is in pyproject.toml"

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["argen", "argen.*"]),
    package_data={"": ["*.pyi", "data/*", "data/*/*.yaml", "data/*/*.json"]},
)
