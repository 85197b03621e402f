"""Adapting what was learned: transfer, adapters, distillation."""
