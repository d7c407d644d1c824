"""What overhead can vary, and what the agent is asked for it."""

from typing import Literal

from pydantic import Field, model_validator

from contract.catalog import Params
from workers.experiments.reported import check_path, check_pattern, words_of

Work = Literal[
    "cpu", "mem", "sys", "fork", "disk", "direct", "random", "fsync", "net", "stream", "ping", "command"
]

AMOUNTS = {
    "cpu": 64,
    "mem": 2048,
    "sys": 100_000,
    "fork": 200,
    "disk": 32,
    "direct": 256,
    "random": 50,
    "fsync": 50,
    "net": 2000,
    "stream": 256,
}
"""What is asked for at once where the campaign does not say: a fraction of a second natively."""

STARTS = {"random": 2, "fsync": 1}
"""Programs that are started per unit of such work, only to ask for one access each."""

FILE_MIB = 64
"""Size of the file that direct and random access uses, where the campaign does not say."""

_OF_COMMANDS = ("name", "command", "pattern", "json_path", "unit", "better")


class OverheadParams(Params):
    """What overhead can vary."""

    work: Work = Field(
        "cpu",
        description="cpu: SHA-256 over `amount` MiB; mem: so many MiB copied; sys: so many reads and "
        "writes of a byte; fork: so many programs started; disk: so many MiB written with fsync and "
        "read; direct, random: so many writes and reads of 4 KiB, past the page cache; fsync: 4 KiB "
        "appended and fsynced so many times; net: so many round trips to a second instance; stream: so "
        "many MiB sent to one; ping: a round trip over the console; command: `command` run",
    )
    amount: int | None = Field(
        None, ge=1, le=9_999_999, description="how much at once; null: an amount that suits the work"
    )
    file_mib: int | None = Field(
        None, ge=1, le=99_999, description="direct, random: size of the file that they use; null is 64"
    )
    name: str | None = Field(
        None, min_length=1, max_length=60, description="what the report calls the command"
    )
    command: str | None = Field(
        None, max_length=2000, description="a program in the image and its arguments; no shell runs them"
    )
    pattern: str | None = Field(
        None, max_length=500, description="regular expression whose first group is the number reported"
    )
    json_path: str | None = Field(
        None, max_length=500, description="instead: where in the JSON that it prints the number is"
    )
    unit: str | None = Field(None, max_length=40, description="unit of that number")
    better: Literal["lower", "higher"] | None = Field(
        None, description="whether a lower or a higher number is the better one"
    )
    repeats: int = Field(20, ge=1, le=10_000, description="measured repetitions in one instance")
    warm_ups: int = Field(2, ge=0, le=1000, description="repetitions before them, kept and marked")
    work_deadline_s: float = Field(120, gt=0, le=3600, description="longest wait for one repetition")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for the instance")

    @model_validator(mode="after")
    def _see_that_the_command_is_whole(self) -> "OverheadParams":
        blocks = 256 * (self.file_mib or FILE_MIB)
        if self.work == "direct" and self.units > blocks:
            raise ValueError(f"an 'amount' of at most {blocks}: the file has no more blocks of 4 KiB")
        if self.work != "command":
            given = next((name for name in _OF_COMMANDS if getattr(self, name) is not None), None)
            if given is not None:
                raise ValueError(f"'{given}' only with 'work: command'")
            return self
        if self.command is None:
            raise ValueError("'work: command' with a 'command'")
        words_of(self.command)
        if self.amount is not None:
            raise ValueError("no 'amount' with 'work: command': the command says how much")
        return self._see_that_the_number_is_told()

    def _see_that_the_number_is_told(self) -> "OverheadParams":
        told = [how for how in (self.pattern, self.json_path) if how is not None]
        if len(told) > 1:
            raise ValueError("'pattern' or 'json_path', not both")
        if told and (self.better is None or not self.unit):
            raise ValueError("with 'pattern' or 'json_path' also 'unit' and 'better'")
        if not told and (self.better is not None or self.unit is not None):
            raise ValueError("'unit' and 'better' only with 'pattern' or 'json_path'")
        if self.pattern is not None:
            check_pattern(self.pattern)
        if self.json_path is not None:
            check_path(self.json_path)
        return self

    @property
    def is_linked(self) -> bool:
        """Whether the work is between two instances."""
        return self.work in ("net", "stream")

    @property
    def units(self) -> int:
        """How much is asked for at once."""
        return AMOUNTS[self.work] if self.amount is None else self.amount
