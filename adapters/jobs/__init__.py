"""Work beside the requests, in this process."""
