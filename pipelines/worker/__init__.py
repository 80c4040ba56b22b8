"""What runs in an actor: a row → images on storage, and its outcome. Knows no Ray."""
