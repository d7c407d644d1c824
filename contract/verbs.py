"""Day-2 verbs, as campaigns, rows and reports name them."""

from enum import StrEnum


class Verb(StrEnum):
    """Everything that is tried. Those of one operation undo each other."""

    EXEC = "exec"
    LOGS = "logs"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    START = "start"
    RESTART = "restart"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_RESTORE = "checkpoint_restore"
    CPU_LESS = "cpu_less"
    CPU_MORE = "cpu_more"
    MEMORY_LESS = "memory_less"
    MEMORY_MORE = "memory_more"
    RENAME = "rename"
    LIST = "list"
    UPDATE = "update"


OPERATIONS: dict[str, tuple[Verb, ...]] = {
    "exec": (Verb.EXEC,),
    "logs": (Verb.LOGS,),
    "pause": (Verb.PAUSE, Verb.RESUME),
    "stop": (Verb.STOP, Verb.START),
    "restart": (Verb.RESTART,),
    "snapshot": (Verb.SNAPSHOT, Verb.RESTORE),
    "checkpoint": (Verb.CHECKPOINT, Verb.CHECKPOINT_RESTORE),
    "cpu": (Verb.CPU_LESS, Verb.CPU_MORE),
    "memory": (Verb.MEMORY_LESS, Verb.MEMORY_MORE),
    "rename": (Verb.RENAME,),
    "list": (Verb.LIST,),
    "update": (Verb.UPDATE,),
}
"""Verbs that are done one after another, by the name that campaigns give them."""
