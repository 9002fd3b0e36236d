"""The weekly report: this week beside the last one."""
