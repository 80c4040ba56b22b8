"""What is wrong with a manifest and with its images, found before a GPU is paid for."""
