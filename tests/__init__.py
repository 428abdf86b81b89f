"""Tests. A package, so that helpers are ``tests.builders`` and the folders below shadow no package of the project."""
