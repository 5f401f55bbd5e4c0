"""The harness of scripts/bench: candidates, measuring, rows, chart."""
