"""The graph of jobs: settings, inputs, and the digest that decides whether a job runs again."""
