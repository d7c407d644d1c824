"""Podman's records where they differ from Docker's."""

import pytest
from pydantic import ValidationError

from contract.errors import EngineError
from workers.engines.podman_records import PodmanSettings, podman_facts, see_that_it_uses

VERSION = {
    "Version": "4.3.1",
    "Components": [
        {"Name": "Podman Engine", "Version": "4.3.1"},
        {"Name": "Conmon", "Version": "conmon version 2.1.6, commit: unknown"},
        {"Name": "OCI Runtime (crun)", "Version": "crun version 1.8.1\ncommit: f8a096be\nspec: 1.0.0"},
    ],
}
INFO = {"DefaultRuntime": "crun", "Runtimes": {"crun": {}, "runc": {}}, "LiveRestoreEnabled": False}


def test_facts_name_podman_its_runtime_and_what_holds_consoles() -> None:
    facts = podman_facts(INFO, VERSION)
    assert facts["engine"] == "podman"
    assert facts["engine_version"] == "4.3.1"
    assert facts["crun_version"] == "1.8.1"
    assert facts["conmon_version"] == "2.1.6"
    assert facts["runtime"] == "crun"
    assert "live_restore" not in facts  # there is no daemon to outlive


def test_components_of_another_form_are_no_error() -> None:
    odd = {
        "Components": [{"Name": "OCI Runtime", "Version": "x"}, {"Name": "Conmon", "Version": "version"}]
    }
    assert podman_facts({}, odd)["engine"] == "podman"


def test_a_runtime_is_the_services_and_never_passed_over() -> None:
    see_that_it_uses(None, INFO)
    see_that_it_uses("crun", INFO)
    with pytest.raises(EngineError, match=r"by 'crun', the profile wants 'runc'.*podman --runtime runc"):
        see_that_it_uses("runc", INFO)  # which the service lists, and would not use


@pytest.mark.parametrize("bad", [{"live_restore": True}, {"log_driver": "local"}, {"runtime": "a b"}])
def test_settings_that_podman_does_not_have_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PodmanSettings.model_validate(bad)
