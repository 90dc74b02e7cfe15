"""Budget Insight (Powens): its API, what its words mean, and the gateway that the use cases know."""
