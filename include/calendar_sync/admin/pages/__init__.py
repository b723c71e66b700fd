"""The pages, one module each: a router, and what the template is given."""
