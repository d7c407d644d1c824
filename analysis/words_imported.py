"""Sentences about what others measured: whose numbers they are, and what these cannot tell."""

from dataclasses import replace

from analysis import quantities, words
from analysis.dataset import Dataset
from analysis.imported import MARK, OUT_OF_TURN, Origin
from analysis.section import Section

_NOT_JUDGED = (
    "Tonnage cannot know whether their host was quiet, their clock sound or their rows complete. It "
    "takes them as the mapping describes them, and judges none: they count as valid."
)
_WHAT_TIMES_ARE = (
    "These numbers are imported. What a time begins and ends with is what the mapping says of it; rates "
    "per second are not known, since nothing says when instances began beside each other."
)


def opening(origin: Origin) -> list[str]:
    """The first sentences of a report on imported trials."""
    by = quantities.listed(list(origin.measured_by)) or "somebody"
    from_where = f" From {quantities.listed(list(origin.places))}." if origin.places else ""
    licences = f" Licence: {quantities.listed(list(origin.licenses))}." if origin.licenses else ""
    trials = quantities.plural(origin.trials, "trial")
    files = quantities.plural(len(origin.files), "file")
    return [
        f"Imported: {trials} of {files}, not measured by Tonnage but by {by}.{from_where}{licences}",
        _NOT_JUDGED,
    ]


def add_caveats(section: Section, dataset: Dataset, origin: Origin | None) -> Section:
    """A section whose caveats also say what imported trials cannot tell."""
    if origin is None:
        return section
    rows = dataset.rows(_OF_EXPERIMENT, {"experiment": section.experiment})
    imported, apart, batches, hosts = (rows[0][key] for key in ("imported", "apart", "batches", "hosts"))
    if not imported:
        return section
    found = [_WHAT_TIMES_ARE]
    if hosts == 1:
        found.append(
            "All of it comes from one host. Intervals speak of blocks like those that were measured "
            "there, and say nothing of other hosts, days or versions."
        )
    if apart:
        found.append(
            "Variants were not measured in turn, or nothing says that they were: what drifted between "
            "them looks like a difference. Ratios pair blocks by their number; verdicts are withheld."
        )
    if batches:
        found.append("Each time is that of a whole batch of instances, not of one.")
    others = (said.replace(words.MORE_BLOCKS, "import more of them") for said in section.caveats)
    return replace(section, caveats=(*found, *others))


_OF_EXPERIMENT = f"""
    SELECT count(*) FILTER ({MARK}) AS imported,
        count(*) FILTER {OUT_OF_TURN} AS apart,
        count(*) FILTER ({MARK} AND json_extract(params, '$.batch') IS NOT NULL) AS batches,
        count(DISTINCT host) AS hosts
    FROM trials WHERE experiment = $experiment
"""  # noqa: S608 - names of the contract
