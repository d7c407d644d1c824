"""Everything Tonnage raises on purpose: one root, one class per cause, each with a code for records."""

from typing import ClassVar


class TonnageError(Exception):
    """Root of all errors that a person can act on."""

    code: ClassVar[str] = "error"
    """Short name of the cause, as written into ``error_class`` columns."""


class CampaignError(TonnageError):
    """The campaign file asks for something that cannot be: fix the YAML."""

    code = "campaign"


class UseError(TonnageError):
    """A command was called in a way that makes no sense."""

    code = "use"


class EngineError(TonnageError):
    """An engine refused a call or failed it."""

    code = "engine_error"


class NotAllowed(TonnageError):
    """The host's operator has not permitted this."""

    code = "not_allowed"


class EngineTimeout(EngineError):
    """An engine did not answer a call within its deadline."""

    code = "engine_timeout"


class EngineAbsent(EngineError):
    """An engine, or the client library that speaks to it, is not on this host."""

    code = "engine_absent"


class ImageError(EngineError):
    """An image is missing, unusable or could not be built."""

    code = "image"


class RegistryError(EngineError):
    """A registry of images cannot be reached, hangs, or refuses."""

    code = "registry"


class AgentError(TonnageError):
    """The agent inside an instance gave a wrong answer."""

    code = "agent_wrong"


class AgentSilent(AgentError):
    """The agent inside an instance did not speak within its deadline."""

    code = "agent_silent"


class WorkError(TonnageError):
    """Work inside an instance failed, or did not say what it was to say."""

    code = "work"


class InstanceExited(TonnageError):
    """An instance ended although nobody asked it to."""

    code = "exited"


class NoEffect(TonnageError):
    """What was done to an instance has not had its effect by the deadline of that."""

    code = "no_effect"


class DeadlineExceeded(TonnageError):
    """A trial, or a step of it, ran out of its time."""

    code = "deadline"


class TrialCancelled(TonnageError):
    """Somebody asked for the trial to end before it was through."""

    code = "cancelled"


class RendezvousError(TonnageError):
    """Hosts that were to measure together did not meet, or one of them left."""

    code = "rendezvous"


class PolicyRefused(TonnageError):
    """The host's operator does not allow what the trial asks for."""

    code = "policy"


class HostBusy(TonnageError):
    """Another worker or local run is already measuring on this host."""

    code = "host_busy"
    holder = "another process"


class PartError(TonnageError):
    """A part is damaged, foreign, or of another schema version."""

    code = "part"


class PartTooLarge(TonnageError):
    """A part cannot travel inside a message."""

    code = "too_large"


class SourceError(TonnageError):
    """A file of somebody else's results is not what the import was told."""

    code = "source"


class DatasetError(TonnageError):
    """A dataset is missing, incomplete or inconsistent."""

    code = "dataset"


class ResultsError(TonnageError):
    """The results folder cannot be used."""

    code = "results"


class BrokerError(TonnageError):
    """The broker cannot be reached or refuses us."""

    code = "broker"


class MessageError(TonnageError):
    """A message from the broker is not one of ours, of another version, or not to be believed."""

    code = "message"

    def __init__(self, text: str, cause: str = "malformed") -> None:
        super().__init__(text)
        self.cause = cause
        """One of ``contract.refusals.CAUSES``."""


class KeyFileError(TonnageError):
    """A key that signs messages is missing, is not one, or can be read by others."""

    code = "key_file"
