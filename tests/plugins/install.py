"""Installs a package for a test: its modules and its metadata in a folder, as an installer leaves them."""

import shutil
import tomllib
from pathlib import Path

ACME = Path(__file__).parent / "acme"


def install(source: Path, site: Path) -> Path:
    """Put a project's packages into *site*, with the metadata that its pyproject.toml says."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    for module in source.iterdir():
        if module.is_dir() and module.name != "__pycache__":
            shutil.copytree(module, site / module.name, ignore=shutil.ignore_patterns("__pycache__"))
    groups = project["entry-points"]
    declare(site, project["name"], project["version"], groups)
    return site


def declare(site: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """Write a distribution's metadata into *site*."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (info / "RECORD").write_text("")
