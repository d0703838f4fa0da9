"""Commands of docs/kubernetes.md, and of the notes that Helm prints, against a fake cluster."""

import re

import pytest
from helm_python import HelmError

from tests.helm.chart import NAMESPACE, ROOT, merged, read_values, render, values_files
from tests.helm.check import violations
from tests.helm.commands import Command, commands, inline_commands
from tests.helm.fake_cluster import FakeCluster, Refused, parse, set_value
from tests.helm.object_rules import submitter_rules

PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OTHERS = {"docker", "export", "make", "physrl", "ray", "openssl", "base64"}


def test_every_command_of_the_page_succeeds_in_order() -> None:
    cluster, found = FakeCluster(), commands(PAGE)
    assert len(found) > 30
    for command in found:
        try:
            cluster.run(command)
        except (Refused, HelmError) as error:
            pytest.fail(f"{command}: {error}")
    for name in ("physrl", "lab"):
        assert violations(cluster.releases[name]) == []


def test_kubectl_and_helm_are_run_by_somebody() -> None:
    people = {one.person for one in commands(PAGE) if one.words[0] in ("kubectl", "helm")}
    assert people == {"administrator", "submitter"}
    assert not [one for one in commands(PAGE) if one.person == "submitter" and "helm" in one.words]


def test_other_programs_exist() -> None:
    for one in commands(PAGE):
        assert one.words[0] in {"kubectl", "helm", *OTHERS}, one
        if one.words[0] == "make":
            assert re.search(rf"^[^:\n]*\b{one.words[1]}\b[^:\n]*:", MAKEFILE, re.MULTILINE), one
        for word in one.words:
            if word.startswith("CONFIG="):
                assert (ROOT / word.removeprefix("CONFIG=")).is_file()


def test_commands_in_the_text_are_within_a_submitters_rights() -> None:
    everything = merged({"kueue": {"queue": "gpu"}})
    allowed = {(resource, verb) for _, resource, verb in submitter_rules(everything)}
    for one in inline_commands(PAGE):
        if one.words[0] != "kubectl" or len(one.words) == 2:
            continue  # such as `kubectl patch`, as a name
        plain, options = parse(one.words[1:])
        assert options["-n"] == [NAMESPACE], one
        assert plain[0] == "describe", one
        assert (plain[1], "get") in allowed, one


@pytest.mark.parametrize("name", values_files())
def test_commands_of_the_notes_succeed(name: str) -> None:
    values = read_values(values_files()[name])
    cluster = FakeCluster(namespaces={NAMESPACE})
    cluster.objects |= {("Secret", one): set(SECRET_KEYS) for one in SECRETS}
    cluster._install("physrl", NAMESPACE, values)
    notes = render(values)["physrl/templates/NOTES.txt"]
    lines = [line for line in notes.splitlines() if line.startswith("  ")]
    person = "submitter" if cluster.roles else "administrator"
    found = commands("```\n" + "\n".join(line.strip() for line in lines) + "\n```\n")
    for command in found:
        cluster.run(Command(person, command.words))
    assert found or name == "values"


SECRETS = ("registry", "ray-token", "huggingface", "minio", "redis", "s3-reader", "wandb")
SECRET_KEYS = (
    *(".dockerconfigjson", "auth_token", "HF_TOKEN", "password", "WANDB_API_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)


WRONG = [
    "helm install a helm/physrl",
    "helm install a helm/physrl --namespace other",
    "helm install a helm/physrl --namespace research --set jobs=1",
    "helm install a helm/physrl --namespace research --set auth.secretName=absent",
    "helm upgrade b helm/physrl --namespace research",
    "helm -n research test b",
    "kubectl get rayjobs",
    "kubectl -n research get secret other",
    "kubectl -n research get secrets",
    "kubectl -n research logs -f job/physrl-other",
    "kubectl -n research port-forward svc/physrl-tensorboard 6006",
    "kubectl -n research port-forward svc/physrl-watch 8600",
    "kubectl -n research delete raycluster physrl",
    "kubectl -n research patch raycluster physrl --type merge --patch x",
    "kubectl -n reserach get rayjobs",
]


@pytest.mark.parametrize("line", WRONG)
def test_wrong_commands_are_refused(line: str) -> None:
    submitter = {"rbac": {"submitters": [{"kind": "User", "name": "a"}]}}
    cluster = FakeCluster(namespaces={NAMESPACE})
    cluster._install("physrl", NAMESPACE, submitter)
    cluster.run(Command("submitter", ("kubectl", "-n", "research", "get", "secret", "physrl")))
    with pytest.raises((Refused, HelmError)):
        cluster.run(Command("submitter", tuple(line.split())))


def test_blocks_are_split_into_commands() -> None:
    page = "```\n# as a submitter\na $(b c | d) \\\n  'x; y' & e # f\n```\n```yaml\nkind: A\n```\n"
    words = [one.words for one in commands(page)]
    assert words == [("b", "c"), ("d",), ("a", "VALUE", "x; y"), ("e",)]
    assert {one.person for one in commands(page)} == {"submitter"}


def test_values_of_set() -> None:
    assert set_value(r'a.b\.c={"d": 1}') == {"a": {"b.c": {"d": 1}}}
