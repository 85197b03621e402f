"""The commands of `python -m experiments`, one file each: its options, and `main(argv)`."""
