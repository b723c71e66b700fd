"""The project's files agree with each other: versions, requirements, containers, commands."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
PACKAGE = REPOSITORY / "include" / "calendar_sync"
SANDBOX = REPOSITORY / "include" / "calendar_sync_sandbox"


def requirements(name: str) -> list[Requirement]:
    lines = (REPOSITORY / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for requirement in requirements(name):
        [specifier] = requirement.specifier
        assert specifier.operator == "==", requirement
        found.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return found


# --- Requirements ---------------------------------------------------------------


def wishes(*extras: str) -> list[Requirement]:
    """What the package asks for, with these extras."""
    project = PYPROJECT["project"]
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    return [Requirement(line) for line in asked]


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("requirements.txt", wishes("google", "microsoft")),
        ("requirements-dev.txt", requirements("requirements-dev.in")),
    ],
)
def test_every_wish_is_pinned_to_a_version_that_it_allows(
    file: str, asked: list[Requirement]
) -> None:
    pinned = pins(file)
    for wish in asked:
        versions = pinned[canonicalize_name(wish.name)]
        assert all(version in wish.specifier for version in versions), wish


def test_the_package_pins_nothing_so_that_it_installs_beside_others() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    for wish in wishes(*extras):
        assert not any(one.operator in {"==", "==="} for one in wish.specifier), wish


def test_connection_forms_alone_need_the_providers_of_calendar_systems() -> None:
    named = {canonicalize_name(wish.name) for wish in wishes()}
    assert {name for name in named if name.startswith("apache-airflow-providers")} == set()
    assert {wish.name for wish in wishes("google", "microsoft")} - named >= {
        "apache-airflow-providers-google",
        "apache-airflow-providers-microsoft-azure",
    }


def test_test_tools_bring_no_other_version_of_what_the_product_uses() -> None:
    product, tools = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name for name in product.keys() & tools.keys() if not tools[name] <= product[name]} == (
        set()
    )


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_pins_name_no_index_and_no_machine(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    assert not re.search(r"https?://|file:|--(extra-)?index|--find-links|(^|\s)/", text, re.M)


def unnamed(paths: Iterable[Path], wishes: set[str]) -> set[tuple[str, str]]:
    """Imported packages that nobody asked for, with the file that imports them."""
    named: set[str] = {canonicalize_name(wish) for wish in wishes}
    # A distribution without files of its own, which brings these.
    named |= (
        {"apache-airflow-core", "apache-airflow-task-sdk"} if "apache-airflow" in named else set()
    )
    providers = packages_distributions()
    ours = {"calendar_sync", "calendar_sync_sandbox"}
    return {
        (module, path.name)
        for path in paths
        for module in imported_modules(path) - sys.stdlib_module_names - ours
        # `airflow` is a namespace that many distributions fill.
        if not {canonicalize_name(name) for name in providers.get(module, [])} & named
    }


def test_every_imported_package_is_asked_for_by_name() -> None:
    product = {wish.name for wish in wishes()}
    files = [*PACKAGE.rglob("*.py"), *(REPOSITORY / "dags").glob("*.py")]
    assert unnamed(files, product) == set()


def test_what_the_sandbox_imports_comes_with_its_extra() -> None:
    extra = set(PYPROJECT["project"]["optional-dependencies"]["sandbox"])
    product = {wish.name for wish in wishes()}
    assert not extra & product
    assert extra <= {wish.name for wish in requirements("requirements-dev.in")}
    assert unnamed(SANDBOX.rglob("*.py"), product | extra) == set()


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


# --- Containers -----------------------------------------------------------------


def test_the_image_is_of_the_pinned_airflow_and_of_a_supported_python() -> None:
    match = re.search(r"^FROM apache/airflow:([\d.]+)-python([\d.]+)$", DOCKERFILE, re.M)
    assert match is not None
    assert pins("requirements.txt")["apache-airflow"] == {match[1]}
    assert f"{match[2]}.0" in SpecifierSet(PYPROJECT["project"]["requires-python"])


def test_the_image_keeps_the_versions_that_airflow_was_tested_with() -> None:
    """Those of requirements.txt break providers of the image: FAB needs SQLAlchemy 2.0."""
    assert "requirements" not in re.sub(r"#.*", "", DOCKERFILE)
    own = re.search(r"pip list --format=freeze > (\S+)", DOCKERFILE)
    installed = re.search(r"pip install (.*)$", DOCKERFILE, re.M)
    assert own is not None
    assert installed is not None
    assert f"--constraint {own[1]}" in installed[1]
    assert '".[google,microsoft]"' in installed[1]


def test_everything_that_the_image_copies_exists_and_reaches_the_build() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M):
        *sources, _ = [part for part in shlex.split(line) if not part.startswith("--")]
        for source in sources:
            name = source.removeprefix("./")
            assert (REPOSITORY / name).exists(), name
            assert f"!{name}" in ignored, name


def test_the_image_is_named_after_the_version() -> None:
    version = PYPROJECT["project"]["version"]
    images = {service["image"] for service in COMPOSE["services"].values() if "build" in service}
    assert images == {f"calendar-sync:{version}"}


def test_every_part_of_airflow_runs_and_is_watched() -> None:
    services = COMPOSE["services"]
    parts = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert parts | {"postgres", "init"} == services.keys()
    for name in parts:
        assert services[name]["command"] == name
        assert services[name]["healthcheck"]["test"]
        assert services[name]["depends_on"]["init"] == {
            "condition": "service_completed_successfully"
        }


def test_state_and_metadata_are_two_databases_of_one_server() -> None:
    environment = COMPOSE["services"]["scheduler"]["environment"]
    metadata = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    state = environment["CALENDAR_SYNC_DATABASE_URL"]
    server, _, created = metadata.rpartition("/")
    assert created == COMPOSE["services"]["postgres"]["environment"]["POSTGRES_DB"]
    assert state.startswith(f"{server}/")
    second = state.rpartition("/")[2]
    assert second != created
    assert COMPOSE["configs"]["second-database"]["content"].strip() == f"CREATE DATABASE {second};"


def test_settings_and_mapping_are_edited_beside_the_compose_file() -> None:
    """What `docs/operations.md` has people apply is theirs, not what the image was built with."""
    assert "./config:/opt/calendar-sync/config:ro" in COMPOSE["services"]["scheduler"]["volumes"]
    operations = (REPOSITORY / "docs" / "operations.md").read_text()
    assert "config apply /opt/calendar-sync/config" in operations


def test_no_secret_is_written_into_the_compose_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"KEY|SECRET|PASSWORD|SQL_ALCHEMY_CONN|DATABASE_URL", name):
                assert re.search(r"\$\{[A-Z_]+:\?", str(value)), name


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("dags/*.py")), ids=lambda path: path.name)
def test_airflow_takes_the_file_for_a_dag_before_it_imports_it(path: Path) -> None:
    # `core.dag_discovery_safe_mode`, on by default, skips files without these two words.
    text = path.read_text().lower()
    assert "dag" in text
    assert "airflow" in text


# --- Commands and texts -----------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "help",
        "install",
        "test",
        "test-fast",
        "test-full",
        "lint",
        "format",
        "types",
        "demo",
        "bench",
        "sandbox",
        "clean",
        "lock",
    ],
)
def test_make_help_tells_every_target(target: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(rf"^{target}:.*## \S", makefile, re.M)
    assert re.search(rf"^\.PHONY: {target}$", makefile, re.M)


def test_the_scripts_can_be_run() -> None:
    for path in (REPOSITORY / ".ci").iterdir():
        assert os.access(path, os.X_OK), path


def test_the_changelog_knows_what_is_coming() -> None:
    assert "## [Unreleased]" in (REPOSITORY / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("page", [*sorted(REPOSITORY.glob("docs/*.md")), REPOSITORY / "README.md"])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert "make demo" in text
    assert "make test" in text


def roles_of(service: str) -> set[str]:
    """The roles as which a component reaches databases, each with its database."""
    environment = COMPOSE["services"][service]["environment"]
    found = [str(value) for name, value in environment.items() if "CONN" in name or "URL" in name]
    matches = [
        re.match(r"postgresql\+psycopg://(\w+):\$\{(\w+):.*@\w+/(\w+)$", one) for one in found
    ]
    return {f"{one[1]}@{one[3]} by {one[2]}" for one in matches if one}


def test_each_component_is_a_database_role_of_its_own() -> None:
    for name in ("api-server", "scheduler", "triggerer"):
        role = name.replace("-", "_")
        by = f"{role.upper()}_PASSWORD"
        assert roles_of(name) == {f"{role}@airflow by {by}", f"{role}@calendar_sync by {by}"}
    assert roles_of("dag-processor") == {"dag_processor@airflow by DAG_PROCESSOR_PASSWORD"}
    assert {one.partition("@")[0] for one in roles_of("init")} == {"owner"}
    told = (REPOSITORY / "docs" / "operations.md").read_text()
    for name in COMPOSE["services"]["postgres"]["environment"]:
        assert not name.endswith("PASSWORD") or f"\n{name}=$(openssl" in told, name


def test_no_container_has_or_gains_privileges() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
