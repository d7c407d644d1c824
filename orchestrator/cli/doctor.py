"""doctor: what a host needs before it can measure, checked one by one."""

import json
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.options import BrokerOption, JsonOption, takes_host

if TYPE_CHECKING:
    from orchestrator.cli.findings import Finding
    from orchestrator.cli.findings.settings import Setting
    from workers.settings import HostSettings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


@takes_host
def doctor(
    ctx: typer.Context,
    host: "HostSettings",
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this host: settings, rights, folders, engines, broker, clock; say what to do about it."""
    from orchestrator.cli.findings.settings import DEFAULT, settings_of

    settings = settings_of(ctx, host.model_dump())
    findings = _examine(host, broker, settings)
    if as_json:
        said = {
            "settings": [setting.as_dict() for setting in settings],
            "findings": [finding.as_dict() for finding in findings],
        }
        typer.echo(json.dumps(said))
        return
    for setting in settings:
        if setting.source != DEFAULT:
            typer.echo(f"set {setting.key:22} {setting.value}  ({setting.source})")
    for finding in findings:
        typer.echo(f"{'ok ' if finding.fine else 'no '} {finding.what:22} {finding.text}")
        if finding.advice:
            typer.echo(f"{'':26} → {finding.advice}")


def _examine(host: "HostSettings", broker: str | None, settings: "list[Setting]") -> "list[Finding]":
    """Look at everything that `tonnage worker` or `run --local` needs on this host."""
    from orchestrator.cli.findings.broker import of_broker
    from orchestrator.cli.findings.engines import of_engines
    from orchestrator.cli.findings.host import of_host
    from orchestrator.cli.findings.settings import of_settings

    found = [*of_settings(settings), *of_host(host), *of_engines(host)]
    return found + list(of_broker(broker) if broker else [])
