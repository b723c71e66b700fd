"""The files in deploy/: what they promise, and that they agree with each other and the docs."""

from __future__ import annotations

import copy
import os
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.cli import cli_parser
from typer.main import get_command

from calendar_sync.cli.app import app
from tests.e2e.cluster.cluster import SETTINGS
from tests.servers import REPOSITORY
from tests.unit.test_project import COMPOSE, PYPROJECT, pins

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = REPOSITORY / "deploy"
PARTS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((FOLDER / "compose").glob("*.yaml"))
}
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "helm" / "values.yaml").read_text())
PODS: dict[str, Any] = yaml.safe_load(
    (FOLDER / "helm" / "values-kubernetes-executor.yaml").read_text()
)
RECEIVER: dict[str, Any] = {
    one["kind"]: one for one in yaml.safe_load_all((FOLDER / "helm" / "receiver.yaml").read_text())
}
DOCS = (REPOSITORY / "docs" / "deploy.md").read_text()
ONCE = {"init", "receiver-rights"}
VERSION = PYPROJECT["project"]["version"]


def merged(one: Any, other: Any) -> Any:
    """As compose lays one file over another: mappings grow, commands are replaced, lists grow."""
    made = copy.deepcopy(one)
    for key, value in other.items():
        before = made.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            made[key] = merged(before, value)
        elif isinstance(before, list) and isinstance(value, list) and key in {"configs", "volumes"}:
            made[key] = [*before, *value]
        else:
            made[key] = copy.deepcopy(value)
    return made


def whole(*names: str) -> Any:
    made: Any = COMPOSE
    for name in names:
        made = merged(made, PARTS[name])
    return made


ALL = whole("celery", "proxy", "push", "backup")
SERVICES: dict[str, dict[str, Any]] = ALL["services"]


# --- Compose ------------------------------------------------------------------------


def test_every_component_is_watched_and_started_again() -> None:
    for name, service in SERVICES.items():
        if name in ONCE:
            assert service["restart"] == "no", name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"], name
            assert service["healthcheck"]["retries"], name


def test_no_container_has_or_gains_privileges_but_the_port_of_the_proxy() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name


def texts(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    else:
        yield str(value)


def test_every_secret_is_asked_for_by_name_and_none_is_written_down() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"KEY|SECRET|PASSWORD|CONN|URL$|AUTH$|BACKEND", name):
                if re.search(r"KEEP|BASE_URL|EXECUTION_API_SERVER_URL", name):
                    continue
                assert re.search(r"\$\{[A-Z_]+:\?", str(value)), name
    assert "requirepass ${REDIS_PASSWORD:?" in ALL["configs"]["redis"]["content"]


def test_the_documentation_makes_every_secret() -> None:
    told = DOCS + (REPOSITORY / "docs" / "operations.md").read_text()
    asked = {name for text in texts(ALL) for name in re.findall(r"\$\{([A-Z_]+):\?", text)}
    assert len(asked) > 12
    for name in asked:
        assert re.search(rf"^{name}=", told, re.M), name


def roles(service: dict[str, Any]) -> set[str]:
    """`role@database by variable`, for each URL of a service."""
    found = set()
    for value in map(str, service.get("environment", {}).values()):
        for role, variable, database in re.findall(
            r"postgresql\+psycopg://(\w+):\$\{(\w+):[^}]*\}@postgres/(\w+)", value
        ):
            found.add(f"{role}@{database} by {variable}")
    return found


def test_each_component_has_a_role_of_its_own_and_each_role_a_component() -> None:
    assert roles(SERVICES["worker"]) == {"worker@calendar_sync by WORKER_PASSWORD"}
    assert roles(SERVICES["receiver"]) == {"receiver@calendar_sync by RECEIVER_PASSWORD"}
    assert SERVICES["backup"]["environment"]["PGUSER"] == "backup"
    assert "BACKUP_PASSWORD" in SERVICES["backup"]["environment"]["PGPASSWORD"]
    scripts = "".join(one["content"] for one in ALL["configs"].values())
    made = set(re.findall(r"CREATE ROLE (\w+) LOGIN", scripts))
    used = {one.partition("@")[0] for service in SERVICES.values() for one in roles(service)}
    assert made == used | {"backup"}
    postgres = SERVICES["postgres"]
    for role in made:
        assert f"{role.upper()}_PASSWORD" in postgres["environment"], role
        assert f"\\getenv {role} {role.upper()}_PASSWORD" in scripts, role
    # A script that nothing mounts makes no role.
    mounted = {one["source"] for one in postgres["configs"]}
    assert mounted == {name for name, one in ALL["configs"].items() if "CREATE" in one["content"]}


def test_every_role_that_works_in_the_state_database_gets_its_rights() -> None:
    working = {
        one.partition("@")[0]
        for name, service in SERVICES.items()
        for one in roles(service)
        if one.partition("@")[2].startswith("calendar_sync") and name not in ONCE
    }
    [init] = SERVICES["init"]["command"]
    granted = set(re.search(r"db grant ([\w ]+)$", init)[1].split())  # type: ignore[index]
    # With workers the scheduler runs no task.
    assert granted == working - {"receiver", "scheduler"}
    assert SERVICES["receiver-rights"]["command"] == ["db", "grant", "--receiver", "receiver"]


def test_what_is_mounted_from_here_exists() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (REPOSITORY / source).exists(), name
            else:
                assert source in ALL["volumes"], name
    assert os.access(FOLDER / "compose" / "backup.sh", os.X_OK)


def test_who_waits_for_whom_exists() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            ended = how["condition"] == "service_completed_successfully"
            assert ended == (other in ONCE), f"{name}: {other}"


def test_all_parts_of_airflow_have_one_image_and_its_version() -> None:
    images = {one["image"] for one in SERVICES.values() if "calendar-sync" in one["image"]}
    assert images == {f"calendar-sync:{VERSION}"}
    assert VALUES["images"]["airflow"]["tag"] == VERSION
    [container] = RECEIVER["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{VALUES['images']['airflow']['repository']}:{VERSION}"
    assert {VALUES["airflowVersion"]} == pins("requirements.txt")["apache-airflow"]


def test_a_worker_has_the_settings_of_the_others() -> None:
    """YAML's anchors end with their file."""
    worker, others = SERVICES["worker"]["environment"], COMPOSE["x-airflow"]["environment"]
    for name, value in others.items():
        if name not in {"AIRFLOW__CORE__EXECUTOR", "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"}:
            assert worker[name] == value, name


def test_without_the_parts_the_form_for_one_machine_stays_as_it_is() -> None:
    assert COMPOSE["services"].keys() == {
        "postgres", "init", "api-server", "scheduler", "dag-processor", "triggerer",
    }  # fmt: skip
    assert not any("redis" in text.lower() for text in texts(COMPOSE))


# --- Commands -----------------------------------------------------------------------


def ours(words: list[str]) -> None:
    """A command of this package, with options that it knows."""
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("calendar-sync", list(words), resilient_parsing=False)


def test_the_commands_of_the_containers_exist() -> None:
    parser = cli_parser.get_parser()
    for name, service in SERVICES.items():
        if not service["image"].startswith("calendar-sync:"):
            continue
        command = service["command"]
        if service.get("entrypoint") == ["calendar-sync"]:
            ours(command)
        elif name in ONCE:
            for one in command[0].split(" && "):
                program, *words = shlex.split(one)
                ours(words) if program == "calendar-sync" else parser.parse_args(words)
        elif name != "worker":
            parser.parse_args(command.split())


def test_the_command_of_the_workers_exists() -> None:
    pytest.importorskip("airflow.providers.celery")
    cli_parser.get_parser().parse_args(SERVICES["worker"]["command"].split())


def test_the_commands_of_the_chart_exist() -> None:
    *shell, line = VALUES["migrateDatabaseJob"]["args"]
    assert shell == ["bash", "-euc"]
    [init] = SERVICES["init"]["command"]
    assert line == init
    [container] = RECEIVER["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["calendar-sync"]
    ours(container["args"])


# --- Compose and Helm ---------------------------------------------------------------


def test_a_cluster_has_the_same_settings_in_compose_and_in_helm() -> None:
    """But for the addresses, which Helm takes from secrets."""
    common = COMPOSE["x-airflow"]["environment"] | PARTS["celery"]["x-celery"]
    told = {}
    for name, value in common.items():
        if name.startswith("AIRFLOW__"):
            _, section, key = name.lower().split("__")
            told[section, key] = str(value)
    elsewhere = {
        ("core", "executor"), ("core", "fernet_key"), ("core", "execution_api_server_url"),
        ("api", "secret_key"), ("celery", "broker_url"), ("celery", "result_backend"),
        # The chart's own.
        ("scheduler", "enable_health_check"),
    }  # fmt: skip
    found = {
        (section, key): str(value)
        for section, values in VALUES["config"].items()
        for key, value in values.items()
    }
    assert {key: told[key] for key in told.keys() - elsewhere if key[0] != "api_auth"} == found
    assert common["AIRFLOW__CORE__EXECUTOR"] == VALUES["executor"]


# --- Helm ---------------------------------------------------------------------------

#: Keys of Airflow's chart, as in its values.yaml; what is below one of these is free.
KEYS = """
airflowVersion executor images.airflow.repository images.airflow.tag
images.migrationsWaitTimeout allowPodLaunching airflowLocalSettings fernetKeySecretName
apiSecretKeySecretName jwtSecretName data.metadataSecretName data.resultBackendSecretName
data.brokerUrlSecretName enableBuiltInSecretEnvVars.AIRFLOW__CORE__SQL_ALCHEMY_CONN
enableBuiltInSecretEnvVars.AIRFLOW__DATABASE__SQL_ALCHEMY_CONN config env securityContexts.pod
securityContexts.containers networkPolicies.enabled migrateDatabaseJob.args
migrateDatabaseJob.env apiServer.replicas apiServer.env apiServer.waitForMigrations.env
apiServer.resources apiServer.networkPolicy.ingress.from apiServer.podDisruptionBudget.enabled
scheduler.replicas scheduler.env scheduler.waitForMigrations.env scheduler.resources
scheduler.podDisruptionBudget.enabled dagProcessor.env dagProcessor.waitForMigrations.env
dagProcessor.resources triggerer.replicas triggerer.env triggerer.waitForMigrations.env
triggerer.resources triggerer.persistence.enabled workers.env workers.waitForMigrations.enabled
workers.keda.enabled workers.keda.minReplicaCount workers.keda.maxReplicaCount
workers.keda.cooldownPeriod workers.persistence.enabled workers.logGroomerSidecar.retentionDays
workers.terminationGracePeriodSeconds
workers.resources redis.enabled redis.passwordSecretName redis.uid redis.securityContexts.pod
redis.securityContexts.container redis.resources postgresql.enabled statsd.enabled
createUserJob.enabled
"""
CHART = KEYS.split()


def unknown(values: Any, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in CHART:
            continue
        if isinstance(value, dict) and any(one.startswith(f"{path}.") for one in CHART):
            yield from unknown(value, f"{path}.")
        else:
            yield path


def test_the_faults_of_the_cluster_test_meet_what_is_shipped() -> None:
    shipped = whole("celery")["services"]["worker"]["environment"]
    assert {name: str(shipped[name]) for name in SETTINGS} == SETTINGS
    # Both in Redis: a lost queue loses results, too.
    broker, results = (
        shipped[f"AIRFLOW__CELERY__{name}"] for name in ("BROKER_URL", "RESULT_BACKEND")
    )
    assert broker == results


def test_the_chart_knows_every_value() -> None:
    assert list(unknown(VALUES)) == []
    assert list(unknown(PODS)) == []


def secrets(value: Any) -> Iterator[tuple[str, str]]:
    """Name and key of every secret that a document refers to."""
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        for one in value.values():
            yield from secrets(one)
    elif isinstance(value, list):
        for one in value:
            yield from secrets(one)


CHARTS_OWN = {
    ("fernetKeySecretName", "fernet-key"),
    ("apiSecretKeySecretName", "api-secret-key"),
    ("jwtSecretName", "jwt-secret"),
}


def test_the_documentation_makes_every_secret_of_the_cluster() -> None:
    asked = {*secrets(VALUES), *secrets(RECEIVER["Deployment"])}
    asked |= {(VALUES[name], key) for name, key in CHARTS_OWN}
    asked |= {(VALUES["data"][name], "connection") for name in VALUES["data"]}
    asked.add((VALUES["redis"]["passwordSecretName"], "password"))
    told = {
        (made[1], key)
        for made in re.finditer(r"create secret generic ([\w-]+) ((?:\\\n|[^\n])+)", DOCS)
        for key in re.findall(r"--from-literal=([\w-]+)=", made[2])
    }
    assert asked == told


def test_each_component_of_the_chart_has_a_role_of_its_own() -> None:
    for component, name in {
        "apiServer": "api-server",
        "scheduler": "scheduler",
        "dagProcessor": "dag-processor",
        "triggerer": "triggerer",
        "workers": "worker",
    }.items():
        keys = {key for _, key in secrets(VALUES[component]["env"])}
        state = {f"{name}-state"} if component in {"apiServer", "triggerer", "workers"} else set()
        airflow = {f"{name}-airflow"} if component != "workers" else set()
        assert keys == state | airflow, component
        wait = VALUES[component]["waitForMigrations"]
        assert wait.get("enabled") is False or wait["env"] == VALUES[component]["env"], component


def test_pods_ask_for_what_they_need_and_gain_no_privileges() -> None:
    for component in ("apiServer", "scheduler", "dagProcessor", "triggerer", "workers", "redis"):
        resources = VALUES[component]["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}, component
        assert "memory" in resources["limits"], component
    least = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = RECEIVER["Deployment"]["spec"]["template"]["spec"]
    [receiver] = pod["containers"]
    assert VALUES["securityContexts"]["containers"] == least
    assert VALUES["redis"]["securityContexts"]["container"] == least
    assert receiver["securityContext"].items() >= least.items()
    assert receiver["livenessProbe"]["httpGet"] == receiver["readinessProbe"]["httpGet"]
    for context in (VALUES["securityContexts"]["pod"], pod["securityContext"]):
        assert context["runAsNonRoot"] is True


def test_the_parts_of_the_receiver_fit_together() -> None:
    labels = RECEIVER["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert RECEIVER["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert RECEIVER["Service"]["spec"]["selector"] == labels
    assert RECEIVER["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    [rule] = RECEIVER["Ingress"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    [container] = RECEIVER["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert path["path"] in container["args"]
    assert path["backend"]["service"]["name"] == RECEIVER["Service"]["metadata"]["name"]
    assert container["livenessProbe"]["httpGet"]["path"] == f"{path['path']}/health"


def test_a_pod_for_each_task_needs_neither_redis_nor_keda() -> None:
    assert PODS["executor"] == "KubernetesExecutor"
    assert PODS["allowPodLaunching"] is True
    assert PODS["redis"]["enabled"] is False
    assert PODS["workers"]["keda"]["enabled"] is False
    assert set(PODS["data"].values()) == {None}
