"""The OpenAPI document of the API: made from the declarations of its requests, served, and shown on a page."""
