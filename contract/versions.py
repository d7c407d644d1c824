"""Two releases on one broker: each refuses the other's messages in plain words."""

from contract import CONTRACT_VERSION
from contract.errors import MessageError


def refuse_other_version(content: object, sender: str, receiver: str) -> None:
    """Raises MessageError for what another release has written, before anything else of it is read.

    ``sender`` and ``receiver``: coordinator or worker, to say which is to be brought up to date.
    """
    version = content.get("contract") if isinstance(content, dict) else None
    if type(version) is int and version == CONTRACT_VERSION:
        return
    older = sender if type(version) is int and version < CONTRACT_VERSION else receiver
    hint = f" (the {older} is the older one)" if type(version) is int else ""
    raise MessageError(
        f"this {receiver} speaks contract version {CONTRACT_VERSION}, the message has "
        f"{version!r:.40}: bring coordinator and worker to the same release of Tonnage{hint}",
        cause="version",
    )
