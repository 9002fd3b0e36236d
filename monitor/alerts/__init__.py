"""From a rule's reading to an incident, and from incidents to the one episode that is delivered."""
