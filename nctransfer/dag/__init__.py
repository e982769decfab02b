"""The graph of jobs: what each is told, what it reads, and the digest that decides whether it runs again."""
