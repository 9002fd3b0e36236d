"""Times of delivery, microseconds: how often a page is repeated, and how old a page may be to be sent."""

from __future__ import annotations

MINUTE_US = 60_000_000
REPEAT_US = 360 * MINUTE_US
"""After this time an open trigger is sent again, in case somebody closed the page by hand."""
REPEAT_AT_US = {"alertmanager": 5 * MINUTE_US}
"""The same by channel, for receivers that forget their alerts at a restart."""
UPDATE_US = MINUTE_US
"""Least time between two updates of an open episode."""
TICKET_PANES = 7 / 6
"""A ticket about errors waits so many panes: the rules that page on errors decide at the next edge."""
JOINED_US = MINUTE_US // 2
"""The same if another feature joined its group, because nothing was sent about that feature yet."""
RECENT_US = 60 * MINUTE_US
"""An episode that ended longer ago, and was not sent, is sent as a note."""
OLD_US = 24 * 60 * MINUTE_US
"""An episode that ended longer ago is not sent at all."""
CATCH_UP_US = 5 * MINUTE_US
"""An old episode waits so long after its decision for a record that ends it."""
LATE_US = 5_000_000
"""Longest time from the decision about an episode to its arrival here, while a silence ends."""
KEPT_US = 24 * 60 * MINUTE_US
"""A delivery is kept so long after its last step."""
