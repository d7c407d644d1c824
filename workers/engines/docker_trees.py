"""A folder's root file system as an image of a Docker engine: imported once, by its content's name."""

import fcntl
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import ImageError
from workers.engines.docker_calls import has_image
from workers.engines.docker_records import TREE_REPOSITORY, reference
from workers.images.tree import PATH, WORK, agent_command, read_tree, write_archive
from workers.ownership import LABEL_PREFIX

if TYPE_CHECKING:
    from docker import APIClient  # noqa: TID251 - one half of the driver


def import_tree(api: "APIClient", state_dir: Path, image: str) -> None:
    """Import the folder unless the engine has it. Of several workers one imports, the others wait.

    Raises ImageError.
    """
    if has_image(api, reference(image)):
        return
    try:
        folder = state_dir / "images"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".docker-tree.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not has_image(api, reference(image)):
                _import(api, folder, image)
    except OSError as error:
        raise ImageError(f"{image} could not be imported: {error}") from error


def _import(api: "APIClient", folder: Path, image: str) -> None:
    tree = read_tree(image)
    changes = [
        f"ENTRYPOINT {json.dumps(agent_command())}",
        f"ENV PATH={PATH}",
        f"ENV TONNAGE_WORK={WORK}",
        f"LABEL {LABEL_PREFIX}image=tree",
    ]
    with tempfile.TemporaryFile(
        dir=folder
    ) as packed:  # no name: whatever happens, nothing is left of it
        write_archive(tree, packed)
        packed.seek(0)
        answer = api.import_image_from_data(
            packed, repository=TREE_REPOSITORY, tag=tree.shape, changes=changes
        )
    if not has_image(api, reference(image)):
        raise ImageError(f"{image} could not be imported: {answer!r:.500}")
