"""From a campaign to its trials: pure, so the same file, catalog and hosts give the same plan.

Every host passes over all cells once per block, in a fresh random order (randomised multiple
interleaved trials): drift of the host then hits all alternatives alike.
"""

import hashlib
import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.campaign import MAX_CELLS, MAX_TRIALS, Campaign, ExperimentEntry, Limits, Name
from contract.catalog import Catalog, DriverInfo, ExperimentInfo
from contract.errors import CampaignError
from contract.trial import Trial, canonical_json
from contract.yaml_source import Location, YamlSource


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of experiment, driver, profile and parameters, defaults filled in."""

    experiment: str
    driver: str
    profile: str
    settings: dict[str, Any]
    params: dict[str, Any]
    image: str
    limits: Limits
    deadline_s: float
    together: bool = False
    """All hosts measure it at the same time; a property of the experiment, so no part of the text."""

    def content(self) -> dict[str, Any]:
        """What its trials say of it."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "together"}

    def text(self) -> str:
        """Canonical JSON of the cell: the same text for the same cell, in any campaign."""
        return canonical_json(self.content() | {"limits": self.limits.model_dump()})


def plan_cells(campaign: Campaign, source: YamlSource, catalog: Catalog) -> tuple[Cell, ...]:
    """All cells of a campaign, checked against the catalog. Raises CampaignError with file and line."""
    _refuse_many(campaign, source)
    cells: dict[str, Cell] = {}
    variants = _read_profiles(campaign, source, catalog)
    for index, entry in enumerate(campaign.experiments):
        loc: Location = ("experiments", index)
        experiment = catalog.experiments.get(entry.experiment)
        if experiment is None:
            raise source.not_one_of(
                (*loc, "experiment"), entry.experiment, catalog.experiments, "one of"
            )
        for place, name in enumerate(entry.drivers):
            if name not in variants:
                raise source.not_one_of((*loc, "drivers", place), name, variants, "a driver or profile:")
            driver, settings = variants[name]
            for params in _param_sets(entry, experiment, source, loc):
                _check_needs(experiment, driver, params, source, (*loc, "drivers", place))
                cell = _cell(campaign, entry, (driver.name, name), (settings, params))
                cell = replace(cell, together=experiment.together)
                if cell.text() in cells:
                    raise source.error((*loc, "drivers", place), name, "every combination only once")
                cells[cell.text()] = cell
    return tuple(cells.values())


def _refuse_many(campaign: Campaign, source: YamlSource) -> None:
    """Before the first cell is made: a few lists multiply to what no memory holds."""
    count = 0
    for index, entry in enumerate(campaign.experiments):
        values = (value for value in entry.params.values() if isinstance(value, list))
        count += len(entry.drivers) * math.prod(map(len, values))
        if count > 2 * MAX_CELLS:
            allowed = f"at most {2 * MAX_CELLS} cells in a campaign"
            raise source.error(("experiments", index), f"{count} cells up to here", allowed)


Groups = Mapping[str, tuple[str, ...]]
"""Hosts that measure together what all measure together, by driver."""


def plan_trials(
    campaign: Campaign, cells: tuple[Cell, ...], hosts: list[str], groups: Groups | None = None
) -> tuple[Trial, ...]:
    """One trial per host, block and cell, in the order in which each host shall run them.

    What hosts measure together comes last in every block, in an order that is the same everywhere: else
    two hosts could wait for each other in two trials at once. Without ``groups`` all hosts take part; a
    host outside the group of a driver has no such trials of it.
    """
    if (count := len(cells) * campaign.blocks * len(hosts)) > MAX_TRIALS:
        raise CampaignError(
            f"{len(cells)} cells x {campaign.blocks} blocks x {len(hosts)} hosts are {count} trials; "
            f"allowed: at most {MAX_TRIALS} in a plan; make several campaigns of it"
        )
    everybody = tuple(sorted(map(_HOST_NAME.validate_python, hosts)))
    groups = {cell.driver: everybody for cell in cells} if groups is None else groups
    molds = [_mold(campaign, cell, groups) for cell in cells]
    trials = []
    for host in everybody:
        for block in range(campaign.blocks):
            order = [mold for mold in molds if not mold.cell.together]
            random.Random(f"{campaign.seed}/{host}/{block}").shuffle(order)
            shared = [mold for mold in molds if mold.cell.together]
            random.Random(f"{campaign.seed}/together/{block}").shuffle(shared)
            order += [mold for mold in shared if host in groups.get(mold.cell.driver, ())]
            trials += [mold.trial(host, block, place) for place, mold in enumerate(order)]
    return tuple(trials)


_HOST_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class _Mold:
    """A cell's trials, which differ in little: they share one checked copy of all the rest."""

    cell: Cell
    text: str
    campaign_seed: int
    model: Trial

    def trial(self, host: str, block: int, place: int) -> Trial:
        """Those who measure together draw the same random numbers: their seed knows no host."""
        who = "together" if self.model.group else host
        seed = _seed(self.campaign_seed, who, block, self.text)
        return self.model.model_copy(update={"host": host, "block": block, "order": place, "seed": seed})


def _mold(campaign: Campaign, cell: Cell, groups: Groups) -> _Mold:
    model = Trial(
        campaign=campaign.campaign,
        host="any",
        block=0,
        order=0,
        seed=0,
        group=groups.get(cell.driver, ()) if cell.together else (),
        **cell.content(),
    )
    return _Mold(cell, cell.text(), campaign.seed, model)


def _read_profiles(
    campaign: Campaign, source: YamlSource, catalog: Catalog
) -> dict[str, tuple[DriverInfo, BaseModel]]:
    """Every name that may stand in ``drivers``: drivers as they are, and all profiles, used or not."""
    variants: dict[str, tuple[DriverInfo, BaseModel]] = {
        name: (info, info.settings()) for name, info in catalog.drivers.items()
    }
    for name, profile in campaign.profiles.items():
        driver = catalog.driver_of(profile.driver, profile.settings)
        if name in catalog.drivers:
            raise source.error(("profiles", name), name, "a name that no driver has")
        if driver is None:
            raise source.not_one_of(
                ("profiles", name, "driver"), profile.driver, catalog.drivers, "one of"
            )
        try:
            variants[name] = driver, driver.settings.model_validate(profile.settings)
        except ValidationError as error:
            raise source.refuse(error, driver.settings, ("profiles", name)) from error
    return variants


def _param_sets(
    entry: ExperimentEntry, experiment: ExperimentInfo, source: YamlSource, loc: Location
) -> list[BaseModel]:
    """Every combination of the listed values, each checked as a whole."""
    names = list(entry.params)
    values = [v if isinstance(v, list) else [v] for v in entry.params.values()]
    found: list[BaseModel] = []
    for combination in itertools.product(*values):
        try:
            given = dict(zip(names, combination, strict=True))
            found.append(experiment.params.model_validate(given))
        except ValidationError as error:
            raise source.refuse(error, experiment.params, (*loc, "params")) from error
    return found


def _check_needs(
    experiment: ExperimentInfo, driver: DriverInfo, params: BaseModel, source: YamlSource, loc: Location
) -> None:
    missing = experiment.needs(params) - driver.offers
    if missing:
        able = ", ".join(sorted(driver.offers))
        needed = ", ".join(sorted(missing))
        text = f"a driver that offers {needed} for these parameters ({driver.name} offers {able})"
        raise source.error(loc, driver.name, text)


def _cell(
    campaign: Campaign,
    entry: ExperimentEntry,
    names: tuple[str, str],
    models: tuple[BaseModel, BaseModel],
) -> Cell:
    driver, profile = names
    settings, params = (model.model_dump(mode="json") for model in models)
    return Cell(
        experiment=entry.experiment,
        driver=driver,
        profile="default" if profile == driver else profile,
        settings=settings,
        params=params,
        image=entry.image or campaign.image,
        limits=entry.limits or campaign.limits,
        deadline_s=entry.deadline_s or campaign.deadline_s,
    )


def _seed(*content: object) -> int:
    digest = hashlib.sha256("/".join(map(str, content)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Selectable(Protocol):
    """What a selection looks at in a host."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels that its operator gave it."""

    @property
    def traits(self) -> dict[str, Any]:
        """Its facts by name, its engines' as ``docker.storage_driver``."""


def choose_hosts(campaign: Campaign, known: Mapping[str, Selectable]) -> list[str]:
    """Names of the known hosts that the campaign selects.

    Raises CampaignError when it names a host that is not there, asks for a fact that no host has, or
    selects none.
    """
    selection, have = campaign.hosts, ", ".join(sorted(known)) or "none"
    absent = sorted(set(selection.names) - set(known))
    if absent:
        raise CampaignError(f"no such host: {', '.join(absent)}; hosts that are alive: {have}")
    facts = {fact for host in known.values() for fact in host.traits}
    for condition in selection.conditions if known else ():
        if condition.fact not in facts:
            names = ", ".join(sorted(facts))
            raise CampaignError(f"no host has a fact '{condition.fact}'; there are: {names}")
    chosen = [n for n, host in known.items() if selection.chooses(n, host.labels, host.traits)]
    if not chosen:
        raise CampaignError(f"the campaign's 'hosts' selects none; hosts that are alive: {have}")
    return sorted(chosen)
