"""Three services that find each other by name: API, worker and scheduler."""
