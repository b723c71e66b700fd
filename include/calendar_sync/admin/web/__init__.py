"""The ground of every page: who asks, what they may do, rendering, jobs, looks at other systems."""
