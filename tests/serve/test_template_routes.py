"""The template library on a real cluster: seeded by the ingress, changed over HTTP, kept in the database."""

from deployments.http.templates import EXAMPLE_TEMPLATE
from pipelines.generator.templates import load_templates
from tests.serve.conftest import Cluster


async def test_templates_are_seeded_created_replaced_measured_and_archived(cluster: Cluster):
    with cluster.client() as client:
        bundled, cursor = [], "0"
        while cursor:
            page = client.get("/templates", params={"origin": "bundled", "limit": 200, "cursor": cursor}).json()
            bundled += page["templates"]
            cursor = page["next_cursor"]
        assert {(row["language"], row["name"]) for row in bundled} == {
            (template.language, template.name) for template in load_templates()
        }

        created = client.post("/templates", json=EXAMPLE_TEMPLATE | {"name": "of the cluster"})
        assert created.status_code == 201, created.text
        path = created.headers["location"]
        assert client.post("/templates", json=EXAMPLE_TEMPLATE | {"name": "of the cluster"}).status_code == 409
        replaced = client.put(path, json=EXAMPLE_TEMPLATE | {"name": "of the cluster", "tone": "bold", "version": 1})
        assert (replaced.status_code, replaced.json()["version"]) == (200, 2)

        performance = client.get(f"{path}/performance").json()
        assert (performance["usage_count"], performance["success_rate"], performance["series"]) == (0, None, [])
        assert client.delete(path).status_code == 204
        assert client.get("/templates/999999999/performance").status_code == 404
    (row,) = await cluster.sql("SELECT * FROM content_templates WHERE template_name = 'of the cluster'")
    assert (row["account_id"], row["origin"], row["tone"], row["version"]) == ("default", "own", "bold", 2)
    assert row["archived_at"] is not None
