"""Lead scoring: from warehouse tables to a served, explained list."""
