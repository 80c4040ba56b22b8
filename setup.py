"""Adds `configs/*.yaml` to the wheel as `jobs/configs/*.yaml`.

Everything else is in pyproject.toml, which can either find packages or list them by hand. This file
joins the packages that are found with one whose folder has another name.
"""

from __future__ import annotations

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["uso_core*", "pipelines*", "jobs*"]),
        "jobs.configs",
    ],
    package_dir={"jobs.configs": "configs"},
)
