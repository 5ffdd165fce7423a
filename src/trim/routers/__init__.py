"""Who decides: a room for each family of routers, and one table in which all stand."""
