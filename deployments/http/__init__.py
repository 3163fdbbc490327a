"""The HTTP front: the ingress, its gate, bodies, problems, and a router for each noun."""
