"""The same pipelines behind what else one would serve them with."""
