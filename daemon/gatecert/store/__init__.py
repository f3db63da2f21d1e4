"""What outlives a pass: accounts, versions, requests, schedule, tokens, locks."""
