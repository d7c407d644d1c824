"""The fields of the capacity calculator: each with its place in a demand, and the words around it.

Everything that a demand file can say has a field here, so that a file can be brought into the form and
taken away again without a loss.
"""

from dataclasses import dataclass
from typing import Literal

from contract.yaml_source import Location

MOST_SHAPES = 50
MOST_CLASSES = 20
"""Of both, as many as a demand may have."""

Kind = Literal["amount", "median", "text", "prose", "words", "pairs", "yes_no"]
"""How a field's text becomes a value. A ``median`` is a number alone, or the p50 of a forecast."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One field: its name, its place in the demand, its label, and a default or an example."""

    name: str
    place: Location
    label: str
    hint: str = ""
    kind: Kind = "amount"


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together, and what is said of them."""

    title: str
    entries: tuple[Entry, ...]


SHAPE = Group(
    "what must run",
    (
        Entry("name", ("name",), "Name", "shape-1", "text"),
        Entry("p50", ("count", "p50"), "Instances", "such as 2000", "median"),
        Entry("p95", ("count", "p95"), "Instances at P95", "no spread"),
        Entry("growth", ("growth", "per_year"), "Growth per year", "none, or 30%"),
        Entry("months", ("growth", "months"), "Months ahead", "12"),
        Entry("variants", ("variants",), "May run as", "all measured", "words"),
        Entry("mem", ("reserve", "mem"), "Memory for each", "none, or 256MiB"),
        Entry("cpus", ("reserve", "cpus"), "CPUs for each", "none, or 0.5"),
        Entry("most", ("most_per_host",), "Most on one host", "none"),
        Entry("measured", ("measured",), "Conditions measured", "workload=light", "pairs"),
    ),
)
SERVICE = Group(
    "Requests that it serves",
    (
        Entry(
            "arrivals.p50",
            ("service", "arrivals_per_s", "p50"),
            "Requests per second",
            "such as 400",
            "median",
        ),
        Entry("arrivals.p95", ("service", "arrivals_per_s", "p95"), "Requests at P95", "no spread"),
        Entry("service_time", ("service", "service_time"), "Work on one request", "such as 50ms"),
        Entry("wait", ("service", "wait"), "Longest wait", "such as 20ms"),
        Entry("quantile", ("service", "quantile"), "Share of them within", "99%"),
        Entry("arrival_cv", ("service", "arrival_cv"), "Arrivals vary", "1"),
        Entry("service_cv", ("service", "service_cv"), "Work varies", "1"),
    ),
)
UPTIME = Group(
    "Failures of its instances",
    (
        Entry("mtbf", ("uptime", "mtbf"), "Instance fails every", "such as 700h"),
        Entry("mttr", ("uptime", "mttr"), "and is back after", "as measured"),
        Entry("needed", ("uptime", "needed"), "Instances needed", "all"),
        Entry("target", ("uptime", "target"), "Time they are there", "none, or 99.99%"),
        Entry("domain_down", ("uptime", "domain_down"), "Time a domain is gone", "0%"),
    ),
)
HOST_CLASS = Group(
    "Class",
    (
        Entry("name", ("name",), "Class", "such as big", "text"),
        Entry("price", ("price",), "Price of one", "none"),
        Entry("most", ("most",), "Most to be had", "any"),
    ),
)
SCALED = Group(
    "Scaled from another",
    (
        Entry("like", ("like",), "Like measured class", "", "text"),
        Entry("mem", ("scale", "mem"), "Times its memory", "1"),
        Entry("cpus", ("scale", "cpus"), "Times its processors", "1"),
        Entry("start_rate", ("scale", "start_rate"), "Times its start rate", "1"),
        Entry("slo", ("scale", "slo"), "Times its objectives", "1"),
    ),
)
SHAPE_ENTRIES = SHAPE.entries + SERVICE.entries + UPTIME.entries
CLASS_ENTRIES = HOST_CLASS.entries + SCALED.entries

OBJECTIVES = Group(
    "Objectives and losses",
    (
        Entry("slo.start_p99", ("slo", "start_p99"), "Starts within (p99)", "none, or 2s"),
        Entry("slo.probe_p99", ("slo", "probe_p99"), "Requests within (p99)", "none, or 50ms"),
        Entry("lose", ("domains", "lose"), "Domains lost (N + k)", "0; of domains 1"),
        Entry("domains", ("domains", "count"), "Failure domains", "each host its own"),
        Entry("sizes", ("domains", "sizes"), "or their sizes, hosts", "as 40, 40, 20", "words"),
        Entry("whole", ("domains", "whole"), "As many hosts in each", "", "yes_no"),
        Entry("rto", ("rto",), "Back within (RTO)", "none, or 5min"),
        Entry("detect", ("detect",), "Loss noticed after", "as measured"),
    ),
)
IMAGES = Group(
    "Images",
    (
        Entry("images.prepulled", ("images", "prepulled"), "Every host has them", "", "yes_no"),
        Entry("images.link", ("images", "link"), "Link of one host", "as 10Gbit/s"),
        Entry("images.registry", ("images", "registry"), "Registry, for all", "as 10Gbit/s"),
    ),
)
MARGINS = Group(
    "Margins",
    (
        Entry("headroom.mem", ("headroom", "mem"), "Memory left free", "15%"),
        Entry("headroom.cpu", ("headroom", "cpu"), "Processors left free", "20%"),
        Entry("headroom.pids", ("headroom", "pids"), "PIDs left free", "10%"),
        Entry("confidence", ("confidence",), "Confidence", "95%"),
        Entry("overload_risk", ("overload_risk",), "Overload risk", "1%"),
        Entry("extrapolate", ("extrapolate", "factor"), "Extrapolate at most ×", "any"),
        Entry("failures.mtbf", ("host_failures", "mtbf"), "Host fails every", "never, or 4000h"),
        Entry("failures.mttr", ("host_failures", "mttr"), "and is back after", "such as 8h"),
        Entry("failures.target", ("host_failures", "target"), "Enough hosts up", "99.9%"),
    ),
)
FILE = Group(
    "As a file",
    (
        Entry("demand", ("demand",), "Name of the demand", "calculator", "text"),
        Entry("description", ("description",), "Description", "", "prose"),
    ),
)
SAID_ONCE = OBJECTIVES.entries + IMAGES.entries + MARGINS.entries
"""What is said of all shapes and classes together."""

ASKING = ("p50", "p95", *(entry.name for entry in SERVICE.entries))
"""Fields of a shape that say how much must run: before one is filled in there is nothing to answer."""
