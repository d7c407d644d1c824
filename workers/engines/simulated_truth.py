"""The truth that the simulated driver is given, and that analysis has to find again.

Model of one instance: every stage takes ``median · X`` where X = exp(sigma·z) is drawn once per
instance, times a block effect and a host effect that are drawn once per trial and host. So the median
of any sum of stages is the sum of their medians, whatever sigma is, while instances of one block hang
together as real ones do. All stages of taking down share a second draw.
"""

from pydantic import Field

from workers.engines.simulated_churn import ChurnTruth
from workers.engines.simulated_density import DensitySettings
from workers.engines.simulated_deployment import SimulatedDeliveryTruth
from workers.engines.simulated_isolation import IsolationTruth
from workers.engines.simulated_management import ManagementTruth
from workers.engines.simulated_overhead import OverheadTruth
from workers.engines.simulated_recovery import RecoveryTruth
from workers.engines.simulated_security import SecurityTruth


class SimulatedSettings(
    DensitySettings,
    RecoveryTruth,
    ChurnTruth,
    SimulatedDeliveryTruth,
    OverheadTruth,
    SecurityTruth,
    IsolationTruth,
    ManagementTruth,
):
    """What a simulated engine is like."""

    create_ms: float = Field(20, ge=0, description="median of the create call")
    start_ms: float = Field(30, ge=0, description="median of the start call")
    boot_ms: float = Field(40, ge=0, description="median from start to the agent's beacon")
    reply_ms: float = Field(10, ge=0, description="median of a request's answer")
    stop_ms: float = Field(20, ge=0, description="median of the stop call")
    remove_ms: float = Field(20, ge=0, description="median of the remove call")
    reclaim_ms: float = Field(10, ge=0, description="median from removal until nothing is left")
    sigma: float = Field(0.2, ge=0, le=3, description="spread between instances (log scale)")
    block_sigma: float = Field(0.0, ge=0, le=3, description="spread between trials (log scale)")
    host_sigma: float = Field(0.0, ge=0, le=3, description="spread between hosts (log scale)")
    slots: int = Field(0, ge=0, description="engine calls served at once; 0 = any number")
    failure_share: float = Field(0, ge=0, le=1, description="start calls that the engine fails")
    hang_share: float = Field(0, ge=0, le=1, description="start calls that never return")
    silent_share: float = Field(0, ge=0, le=1, description="instances whose agent never speaks")
    exit_share: float = Field(0, ge=0, le=1, description="instances that end before they are ready")
