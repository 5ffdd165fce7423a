"""How a solution grows: the engine, its episodes, and the step store."""
