"""What the worker shows: /metrics, /healthz, /readyz, /api/status and the page at /."""
