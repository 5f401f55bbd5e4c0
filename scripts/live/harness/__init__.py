"""What the live scenarios stand on: processes, SIP peers, addresses, and the list of scenarios."""
