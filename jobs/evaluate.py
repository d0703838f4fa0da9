"""Measure a policy on held-out scenes and photographs."""

from cluster.cluster import start_cluster
from cluster.evaluation import evaluate_policy
from jobs.train import console, photographs
from physrl.config.run import RunConfig
from physrl.report.table import make_table


def run(config: RunConfig, policy: str) -> None:
    """Serve the checkpoint, ask it everything, print and keep the counts."""
    photos = photographs(config)
    model = config.model.model_copy(update={"path": policy, "lora": None, "adapter": None})
    config = config.model_copy(update={"model": model})
    with start_cluster(config) as cluster:
        with console.status("waiting for vLLM"):
            cluster.wait_for_servers()
        with console.status("evaluating"):
            result = evaluate_policy(cluster, config, "policy", photos)
    path = config.folder / "evaluation" / "policy.json"
    result.save(path)
    console.print(make_table([result], policy))
    console.print(f"answers: {path}")
