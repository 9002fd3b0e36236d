"""The HTTP endpoints of a worker: /metrics, /healthz, /readyz, /api/status and the page at /."""
