"""Who may, how much: budgets of money and limits on pictures. Pure; time is an argument."""
