"""configs/kaggle.yaml: the competition, and the kernel and the dataset that histoblend keeps on Kaggle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from histoblend.competition.leaked_labels import leak_in_name
from histoblend.config_check import validated
from histoblend.config_files import configs_folder
from histoblend.config_training import Settings
from histoblend.yaml_files import read_yaml

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=5, max_length=50)]
"""As Kaggle writes names into addresses: small letters, digits and single hyphens."""


OWNED = re.compile(r"[A-Za-z0-9][\w-]*/[a-z0-9]+(-[a-z0-9]+)*")
"""A dataset's owner and name."""


class KernelSettings(Settings):
    """The script kernel that carries the package."""

    slug: Slug = "histoblend-run"
    """Its name in the address; the title is made from it."""
    plan: str = "kaggle"
    """Plan that it runs."""
    accelerator: Literal["NvidiaTeslaT4", "none"] = "NvidiaTeslaT4"
    """Kaggle's name of the machine (two T4), or none for a session without a card."""
    internet: bool = False
    """Whether the session may reach the internet."""
    private: bool = True
    """Whether nobody else sees it."""
    datasets: tuple[str, ...] = ()
    """Further datasets it is given, as owner/name; the assets dataset is among them by itself."""

    @field_validator("datasets")
    @classmethod
    def _with_owner_without_leaks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not OWNED.fullmatch(name):
                raise ValueError(f"{name!r} is no dataset's name: owner/name, as in its address")
            if (leak := leak_in_name(name)) and leak.certain:
                raise ValueError(f"{name} is, by its name, {leak.what}: {leak.why}; take it out")
        return value


class AssetsSettings(Settings):
    """The private dataset with what a session without internet needs."""

    slug: Annotated[Slug, Field(min_length=6)] = "histoblend-assets"
    """Its name in the address; of a dataset six letters or more."""


class KaggleSettings(Settings):
    """What is on Kaggle."""

    competition: Slug = "histopathologic-cancer-detection"
    """The competition's name in its address."""
    daily_submissions: Annotated[int, Field(ge=1)] = 5
    """Submissions that a team may make on one day, by UTC."""
    slide_map: str = "patch_id_wsi_full.csv"
    """File name of the slide map."""
    kernel: KernelSettings = KernelSettings()
    """The script kernel that carries the package."""
    assets: AssetsSettings = AssetsSettings()
    """The private dataset with what a session without internet needs."""

    @field_validator("slide_map")
    @classmethod
    def _plain(cls, value: str) -> str:
        if "/" in value:
            raise ValueError(f"{value!r} is a path; give the file's name alone")
        return value


def load_kaggle_settings(environment: Mapping[str, str]) -> KaggleSettings:
    """configs/kaggle.yaml, or the defaults where there is none.

    Raises:
        ConfigRefusal: unknown key or value.
    """
    path = configs_folder(environment) / "kaggle.yaml"
    return validated(KaggleSettings, read_yaml(path), str(path)) if path.exists() else KaggleSettings()
